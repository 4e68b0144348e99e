"""Rows set apart: as many as asked for, the same every time, and no text on both sides."""

import pytest

from litebert.errors import InputError
from litebert.tasks.example import Dataset, SpanExample, TaggedExample, TextExample
from litebert.tasks.selection import set_apart


def texts(count, rows_each):
    rows = [
        TextExample(id=str(n), place=f"f:{n}", first=f"text {n // rows_each}", second=f"other {n}")
        for n in range(count)
    ]
    return Dataset("classification", ("a", "b"), rows)


@pytest.mark.parametrize("rows_each", [1, 3, 7])
def test_rows_of_one_text_stay_together(rows_each):
    data = texts(600, rows_each)
    left, part = set_apart(data, 0.1)
    assert len(left) + len(part) == 600
    assert 60 <= len(part) < 60 + rows_each
    assert not {row.first for row in left.examples} & {row.first for row in part.examples}
    assert set_apart(data, 0.1) == (left, part)


def test_contexts_and_sentences():
    spans = [
        SpanExample(id=str(n), place=f"f:{n}", question="q", context=f"c{n // 5}")
        for n in range(100)
    ]
    left, part = set_apart(Dataset("span", (), spans), 0.2)
    assert not {row.context for row in left.examples} & {row.context for row in part.examples}
    tagged = [TaggedExample(id=str(n), place=f"f:{n}", words=("one",)) for n in range(50)]
    assert len(set_apart(Dataset("tagging", ("O",), tagged), 0.1)[1]) == 5


def test_one_text_alone_cannot_be_divided():
    with pytest.raises(InputError, match="too few to set some apart"):
        set_apart(texts(6, 6), 0.5)
