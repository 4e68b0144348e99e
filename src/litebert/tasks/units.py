"""Units: what a model learns from or answers at once, as token ids; and batches of them.

A text is a unit of one sequence, a question with four options one of four, and a long context
several units, its windows. Lengths differ, and nothing is ever padded.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from litebert.model.packed import PackedBatch
from litebert.text.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """The ids of one sequence, special tokens included."""

    tokens: list[int]
    first: int
    """Tokens of segment 0; the rest are of segment 1."""


@dataclass(frozen=True, slots=True)
class Unit:
    """The sequences of one example, or of one window of it."""

    example: int
    """Place of the example in its dataset."""
    sequences: tuple[TokenSequence, ...]
    target: Any = None
    """What is to be learned; each kind of task has its own."""

    @property
    def length(self) -> int:
        """Tokens in all sequences."""
        return sum(len(sequence.tokens) for sequence in self.sequences)


def sequence_of(
    tokenizer: Tokenizer, first: list[int], second: list[int] | None = None
) -> TokenSequence:
    """[CLS] A [SEP], or [CLS] A [SEP] B [SEP]."""
    tokens = [tokenizer.cls_id, *first, tokenizer.sep_id]
    count = len(tokens)
    return TokenSequence(tokens if second is None else [*tokens, *second, tokenizer.sep_id], count)


def batches_by_length(sizes: Sequence[int], *, limit: int) -> Iterator[list[int]]:
    """Numbers of items, longest first, in batches of at most `limit` tokens or of one item.

    Items of like length go together, so that little of a batch is waiting.
    """
    batch: list[int] = []
    tokens = 0
    for number in sorted(range(len(sizes)), key=lambda number: -sizes[number]):
        if batch and tokens + sizes[number] > limit:
            yield batch
            batch, tokens = [], 0
        batch.append(number)
        tokens += sizes[number]
    if batch:
        yield batch


def mean_answers(several: Sequence[list]) -> list:
    """Answers of several models, numbers of a row each, as their means row by row."""
    return [
        [sum(values) / len(values) for values in zip(*rows, strict=True)]
        for rows in zip(*several, strict=True)
    ]


def collate(units: Sequence[Unit]) -> PackedBatch:
    """All sequences of some units end to end."""
    return packed_of([sequence for unit in units for sequence in unit.sequences])


def packed_of(sequences: Sequence[TokenSequence]) -> PackedBatch:
    """Sequences end to end."""
    lengths = np.array([len(sequence.tokens) for sequence in sequences])
    starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
    positions = np.arange(len(starts)) - starts
    firsts = np.repeat([sequence.first for sequence in sequences], lengths)
    return PackedBatch(
        tokens=torch.from_numpy(np.concatenate([sequence.tokens for sequence in sequences])),
        positions=torch.from_numpy(positions),
        segments=torch.from_numpy((positions >= firsts).astype(np.int64)),
        lengths=tuple(lengths.tolist()),
    )
