"""Rows that cannot be used as they stand: counted, named by file and line, never dropped silently.

Every reader of a task says here what it left out or changed, and by which rule.
"""

from collections import Counter
from dataclasses import dataclass, field

from litebert.errors import InputError


@dataclass
class Problems:
    """What was wrong with the rows of some files; with `strict` the first problem ends the run."""

    strict: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    """Rows by what was wrong and what was done."""
    first: dict[str, str] = field(default_factory=dict)
    """Where each was met first, as file:line, and what stood there."""

    def report(self, place: str, what: str, *, found: object = None, done: str) -> None:
        """Count a row at a place (file:line): what is wrong, what stood there, what is done.

        Raises InputError in strict mode.
        """
        shown = place if found is None else f"{place}: {_shortened(repr(found))}"
        if self.strict:
            raise InputError(f"{shown}: {what} (--strict stops here; without it: {done})")
        rule = f"{what}: {done}"
        self.counts[rule] += 1
        self.first.setdefault(rule, shown)

    def firsts(self) -> list[str]:
        """Where each kind of problem was met first, without what was done about it."""
        return [f"{place}: {rule.rpartition(': ')[0]}" for rule, place in self.first.items()]

    def lines(self) -> list[str]:
        """One line a kind of problem, most frequent first."""
        return [
            f"{count:,} {'row' if count == 1 else 'rows'} with {rule} (first: {self.first[rule]})"
            for rule, count in self.counts.most_common()
        ]


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
