"""A user's own labelled file as a task: which columns hold what, and the rules for odd rows.

Classes get their numbers in the order of their names; rows of later files with other classes are
named and left out. Rows without text are left out; what is longer than the model is cut later.
"""

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.tasks.columns import Columns, RowValues, UnusableRowError, cell_text
from litebert.tasks.example import (
    Answer,
    ChoiceExample,
    Dataset,
    Example,
    Kind,
    SpanExample,
    TaggedExample,
    TextExample,
)
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import LEFT_OUT, Row, read_rows

_WHOLE_NUMBER = re.compile(r"-?[0-9]+")


def read_custom(
    path: Path,
    kind: Kind,
    columns: Columns,
    problems: Problems,
    *,
    labels: Sequence[str] | None = None,
    labelled: bool = True,
) -> Dataset:
    """The examples of a CSV, TSV, JSONL or Parquet file; see `custom_dataset`."""
    rows = list(read_rows(path, problems))
    return custom_dataset(
        rows, kind, columns, problems, labels=labels, labelled=labelled, source=str(path)
    )


def custom_dataset(
    rows: Sequence[Row],
    kind: Kind,
    columns: Columns,
    problems: Problems,
    *,
    labels: Sequence[str] | None,
    labelled: bool,
    source: str,
) -> Dataset:
    """The examples of rows.

    Without `labels` the classes or tags of the rows are the labels. Raises InputError, naming
    `source`, when a column is missing, when nothing can be used, and when rows to learn from have
    one class only.
    """
    learning = labelled and labels is None
    if learning and kind in ("classification", "multilabel", "tagging"):
        labels = _labels_of(rows, kind, columns)
        if len(labels) < 2:
            raise InputError(
                f"{source}: all rows have the one label {''.join(labels)!r}: nothing can be learned"
            )
    examples = list(
        examples_of(rows, kind, columns, problems, labels=labels or (), labelled=labelled)
    )
    if not examples:
        found = "; ".join(problems.lines()) or "there is none below its header"
        raise InputError(f"{source}: no row of it can be used ({found}): mend the file")
    return Dataset(kind, tuple(labels or ()), examples)


def examples_of(
    rows: Iterable[Row],
    kind: Kind,
    columns: Columns,
    problems: Problems,
    *,
    labels: Sequence[str],
    labelled: bool,
) -> Iterator[Any]:
    """The examples of rows, one by one; those that cannot be used go to `problems`."""
    numbers = {name: number for number, name in enumerate(labels)} if labelled else None
    for count, (place, values) in enumerate(rows):
        if not count:
            columns = columns.of_pairs(values)
        try:
            yield _MAKERS[kind](RowValues(place, values, count, columns), numbers)
        except UnusableRowError as problem:
            problems.report(place, problem.what, found=problem.found, done=LEFT_OUT)


def _classified(row: RowValues, numbers: Mapping[str, int] | None) -> TextExample:
    label = None
    if numbers is not None:
        label = _known(_name(row.get("label")), numbers)
    return _text_example(row, label)


def _scored(row: RowValues, numbers: Mapping[str, int] | None) -> TextExample:
    return _text_example(row, None if numbers is None else _number(row.get("label")))


def _multilabelled(row: RowValues, numbers: Mapping[str, int] | None) -> TextExample:
    label = None
    if numbers is not None:
        label = tuple(sorted({_known(name, numbers) for name in _names(row.get("label"))}))
    return _text_example(row, label)


def _text_example(row: RowValues, label: Any) -> TextExample:
    second = None if row.columns.second is None else row.text("second")
    return TextExample(**row.base(), first=row.text("text"), second=second, label=label)


def _spanned(row: RowValues, numbers: Mapping[str, int] | None) -> SpanExample:
    context = row.text("context")
    answers = () if numbers is None else tuple(_answers(row, context))
    return SpanExample(
        **row.base(), question=row.text("question"), context=context, answers=answers
    )


def _answers(row: RowValues, context: str) -> Iterator[Answer]:
    """The right answers: a text, or an object of texts and places, as in the hub's SQuAD."""
    value = row.get("answer")
    if isinstance(value, Mapping):
        texts, starts = (list(value.get(name) or ()) for name in ("text", "answer_start"))
        if len(texts) != len(starts):
            raise UnusableRowError("answers that are not as many texts as answer_starts", value)
    else:
        text = cell_text(value)
        texts, starts = [text] if text else [], [context.find(text)]
        if text and row.columns.answer_start is not None:
            starts = [row.get("answer_start")]
    for text, start in zip(texts, starts, strict=False):
        text, start = cell_text(text), int(_number(start))
        if start < 0 or context[start : start + len(text)] != text:
            raise UnusableRowError("an answer that is not in the context", text)
        yield Answer(text=text, start=start)


def _chosen(row: RowValues, numbers: Mapping[str, int] | None) -> ChoiceExample:
    if "," in row.columns.options:
        names = [name.strip() for name in row.columns.options.split(",")]
        missing = [name for name in names if name not in row.values]
        if missing:
            raise InputError(f"{row.place}: no column {missing[0]!r} for the options")
        options = tuple(cell_text(row.values[name]) for name in names)
    else:
        options = tuple(map(cell_text, _list(row.get("options"))))
    if len(options) < 2 or not all(option.strip() for option in options):
        raise UnusableRowError("fewer than two options, or an empty one", options)
    label = None if numbers is None else _option(_name(row.get("label")), options)
    return ChoiceExample(
        **row.base(),
        passage=row.text("context"),
        question=row.text("question"),
        options=options,
        label=label,
    )


def _tagged(row: RowValues, numbers: Mapping[str, int] | None) -> TaggedExample:
    words, tags = _words(row.get("words")), None
    if not words or not all(word.strip() for word in words):
        raise UnusableRowError("no words, or an empty one")
    if numbers is not None:
        names = _words(row.get("tags"))
        if len(names) != len(words):
            raise UnusableRowError(
                "another number of tags than of words", f"{len(names)}, {len(words)}"
            )
        tags = tuple(_known(name, numbers) for name in names)
    return TaggedExample(**row.base(), words=tuple(words), labels=tags)


_MAKERS: dict[Kind, Callable[[RowValues, Mapping[str, int] | None], Example]] = {
    "classification": _classified,
    "regression": _scored,
    "multilabel": _multilabelled,
    "span": _spanned,
    "choice": _chosen,
    "tagging": _tagged,
}


def _labels_of(rows: Iterable[Row], kind: Kind, columns: Columns) -> tuple[str, ...]:
    """All labels of some rows: numbers by size, names by letters, "O" of tags first."""
    found: set[str] = set()
    for count, (place, values) in enumerate(rows):
        value = RowValues(place, values, count, columns).get(
            "tags" if kind == "tagging" else "label"
        )
        try:
            names = {"multilabel": _names, "tagging": _words}.get(kind, lambda v: [_name(v)])(value)
        except UnusableRowError:
            continue  # reported when the row is made
        found.update(names)
    if all(_WHOLE_NUMBER.fullmatch(name) for name in found):
        return tuple(sorted(found, key=int))
    return tuple(sorted(found, key=lambda name: (name != "O" or kind != "tagging", name)))


def _name(value: Any) -> str:
    text = cell_text(value).strip()
    if not text:
        raise UnusableRowError("no label")
    # a column of numbers with holes becomes one of floats in many programs
    return text.removesuffix(".0") if isinstance(value, float) else text


def _names(value: Any) -> list[str]:
    """Several labels; none is right too."""
    if _is_list(value):
        return [_name(one) for one in _list(value)]
    return [part.strip() for part in cell_text(value).split("|") if part.strip()]


def _words(value: Any) -> list[str]:
    return [cell_text(one) for one in _list(value)] if _is_list(value) else cell_text(value).split()


def _known(name: str, numbers: Mapping[str, int]) -> int:
    if name not in numbers:
        more = ", ..." if len(numbers) > 8 else ""
        known = ", ".join(list(numbers)[:8]) + more
        raise UnusableRowError(f"an unknown label (known: {known})", name)
    return numbers[name]


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise UnusableRowError("a score that is no number", value) from None
    if not abs(number) < float("inf"):
        raise UnusableRowError("a score that is no number", value)
    return number


def _is_list(value: Any) -> bool:
    """Whether a cell holds a list, itself or written as text."""
    written = isinstance(value, str) and value[:1] == "[" and value[-1:] == "]"
    return written or isinstance(value, (list, tuple))


def _list(value: Any) -> Sequence:
    """A list as it is, or as JSON or Python writes it into one cell."""
    if isinstance(value, str):
        for read in (json.loads, ast.literal_eval):
            try:
                value = read(value)
                break
            except (ValueError, SyntaxError):
                continue
    if not isinstance(value, (list, tuple)):
        raise UnusableRowError("options that are no list", value)
    return value


def _option(name: str, options: Sequence[str]) -> int:
    """The right option by its text, by its letter, or by its number from 0."""
    if name in options:
        return options.index(name)
    number = -1
    if len(name) == 1 and name.isascii() and name.isalpha():
        number = ord(name.upper()) - ord("A")
    # where options are numbers themselves, a number that is none of them is no place in the list
    elif _WHOLE_NUMBER.fullmatch(name) and not any(map(_WHOLE_NUMBER.fullmatch, options)):
        number = int(name)
    if not 0 <= number < len(options):
        raise UnusableRowError("an answer that is none of its options", name)
    return number
