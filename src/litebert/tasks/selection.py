"""Rows set apart from the training rows: those that choose a checkpoint, or stand in for a dev set.

Questions about one context stay together, and so do pairs with one first text, as MNLI's three to a
premise: a part that shares them would flatter a model.
"""

from dataclasses import replace

import numpy as np

from litebert.errors import InputError
from litebert.tasks.example import ChoiceExample, Dataset, Example, SpanExample, TextExample
from litebert.tasks.registry import Splits

LARGEST_PART = 1000
_SEED = 20191012


def set_apart(data: Dataset, share: float) -> tuple[Dataset, Dataset]:
    """The rows that are left and a part of them, at most 1,000 rows; the same on every call."""
    groups: dict[object, list[Example]] = {}
    for number, example in enumerate(data.examples):
        groups.setdefault(_group(example, number), []).append(example)
    draw = np.random.Generator(np.random.Philox(_SEED))
    order = draw.permutation(len(groups))
    wanted = min(LARGEST_PART, max(1, round(share * len(data))))
    apart: set[str] = set()
    for members in (list(groups.values())[number] for number in order):
        if len(apart) >= wanted or len(apart) + len(members) >= len(data):
            break
        apart.update(example.place + example.id for example in members)
    parts = [[], []]
    for example in data.examples:
        parts[example.place + example.id in apart].append(example)
    if not parts[1]:
        raise InputError(
            f"{len(data)} training rows about one text are too few to set some apart: give a dev "
            f"file and select=dev"
        )
    left, part = (replace(data, examples=examples) for examples in parts)
    return left, part


def _group(example: Example, number: int) -> object:
    if isinstance(example, SpanExample):
        return example.context
    if isinstance(example, ChoiceExample):
        return example.passage
    return example.first if isinstance(example, TextExample) else number


def with_dev(splits: Splits) -> tuple[Splits, list[str]]:
    """The splits, with rows set apart for scoring where the user has none, and a note on it."""
    if splits.dev:
        return splits, []
    train, dev = set_apart(splits.train, 0.1)
    note = f"no dev file: {len(dev):,} of {len(splits.train):,} rows are set apart and scored"
    return Splits(train, {"dev": dev}, splits.test), [note]
