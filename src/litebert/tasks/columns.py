"""Which columns of a user's file hold what, and a row of it as seen through them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from litebert.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Columns:
    """The columns of a user's file; those a kind of task does not use are ignored."""

    text: str = "text"
    """First text of a classification, regression or multilabel row."""
    second: str | None = None
    """Second text of a pair; the column `second` where there is one when left out."""
    label: str = "label"
    """Class, score, several classes (a list, or names between |), or right option."""
    question: str = "question"
    context: str = "context"
    """What an answer is a span of, or the passage of a multiple choice."""
    answer: str = "answer"
    """Text of the answer, empty for an unanswerable question; or an object of lists, text and
    answer_start, as the hub's SQuAD has."""
    answer_start: str | None = None
    """First character of the answer; where its text stands first when left out."""
    options: str = "options"
    """Options of a multiple choice: a list, or several columns with commas between."""
    words: str = "words"
    """Words of a sentence to tag: a list, or text with spaces between."""
    tags: str = "tags"
    id: str | None = None
    """Name of a row in predictions; its line in the file when left out."""

    def __post_init__(self) -> None:
        for field in fields(self):
            if getattr(self, field.name) == "":
                raise InputError(f"columns: {field.name} is empty: name a column")

    def of_pairs(self, first: Mapping[str, Any]) -> "Columns":
        """The same for a file with this first row, whose column `second` makes it one of pairs."""
        there = self.second is None and "second" in first
        return replace(self, second="second") if there else self

    def changed(self, pairs: Iterable[str]) -> "Columns":
        """The same with other columns, from ROLE=COLUMN pairs. Raises InputError for no role."""
        split = [pair.partition("=") for pair in pairs]
        for role, _, column in split:
            if role not in ROLES:
                raise InputError(f"columns {role}={column}: roles are {', '.join(ROLES)}")
        return replace(self, **{role: column for role, _, column in split})


ROLES = tuple(field.name for field in fields(Columns))


class UnusableRowError(Exception):
    """What is wrong with a row, and what stood there."""

    def __init__(self, what: str, found: object = None):
        self.what, self.found = what, found


@dataclass(frozen=True)
class RowValues:
    """A row, and where to find things in it."""

    place: str
    values: Mapping[str, Any]
    count: int
    columns: Columns

    def get(self, role: str) -> Any:
        column = getattr(self.columns, role)
        if column in self.values:
            return self.values[column]
        if self.count:  # JSON lines may leave out what they do not have
            raise UnusableRowError(f"no {role}")
        known = ", ".join(self.values)
        raise InputError(
            f"{self.place}: no column {column!r} for the {role}; there are {known}: name "
            f"yours, --columns {role}=COLUMN"
        )

    def text(self, role: str) -> str:
        text = cell_text(self.get(role))
        if not text.strip():
            raise UnusableRowError(f"an empty {role}")
        return text

    def base(self) -> dict[str, str]:
        name = self.place.rpartition(":")[2] if self.columns.id is None else self.text("id")
        return {"id": name, "place": self.place}


def cell_text(value: Any) -> str:
    """The text of a cell: none for what stands for nothing, None or NaN."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    if isinstance(value, (bytes, list, tuple, dict)):
        raise UnusableRowError(f"a {type(value).__name__} where text is wanted", value)
    # a lone surrogate, as JSON escapes can hold, is no text that could be written again
    return str(value).encode("utf-8", "replace").decode("utf-8")
