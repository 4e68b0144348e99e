"""Examples: what a row of a task holds before any tokenizer has seen it, one class a kind of task.

Labels are numbers here, places in the task's list of labels; a row that is only to be predicted has
none.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["classification", "regression", "multilabel", "tagging", "span", "choice"]


@dataclass(frozen=True, kw_only=True)
class Example:
    """What every row has."""

    id: str
    """Its name in predictions and submissions."""
    place: str
    """file:line, for messages."""


@dataclass(frozen=True, kw_only=True)
class TextExample(Example):
    """A text or a pair of texts with a class, a score or several classes."""

    first: str
    second: str | None = None
    label: int | float | tuple[int, ...] | None = None
    """Class; score of a regression; classes of a multi-label row, ascending."""


@dataclass(frozen=True, kw_only=True)
class ChoiceExample(Example):
    """A passage and a question with any number of options, one of which is right."""

    passage: str
    question: str
    options: tuple[str, ...]
    label: int | None = None


@dataclass(frozen=True, kw_only=True)
class TaggedExample(Example):
    """A sentence in words, and a tag for every word."""

    words: tuple[str, ...]
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """A span of the context that answers the question."""

    text: str
    start: int | None
    """First character in the context; None where the data says a wrong one: good for scoring."""


@dataclass(frozen=True, kw_only=True)
class SpanExample(Example):
    """A question about a context; the answer is a span of it, or there is none."""

    question: str
    context: str
    answers: tuple[Answer, ...] = ()
    """All that annotators gave; none for an unanswerable question, or one to be predicted."""
    group: str = ""
    """Title of the article."""


@dataclass(frozen=True)
class Dataset:
    """The examples of one split, with what is common to all of a task's splits."""

    kind: Kind
    labels: tuple[str, ...]
    """Names of classes or tags in the order of their numbers; empty for scores and spans."""
    examples: list

    def __len__(self) -> int:
        return len(self.examples)
