"""Packed sequences: many texts end to end in one row of tokens, with no padding between them.

Padded input is packed at the door, and everything inside the model runs on T real tokens.
Attention needs rows, so a batch also knows how its sequences form groups of nearly equal length.
"""

# T = packed tokens, B = sequences, S = longest sequence of a group

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import TypeVar

import torch
from torch import Tensor
from torch.nn import functional as F

from litebert.errors import InputError

L = TypeVar("L", bound="Layout")

# Sequences join a group while they are at least this share of its longest one. More groups waste
# less attention on padding, fewer make fewer calls: 0.5 is up to 5 % slower on MRPC.
GROUP_SHARE = 0.7
# The rows of a group of longer ones are a multiple of this many cells: a bf16 softmax on a CPU
# takes 1.00 ms for 128 rows of 88 x 88 and 0.42 for 96 x 96 (LOG.md).
ROW_MULTIPLE = 32


@dataclass(frozen=True)
class Group:
    """Sequences of nearly equal length, as the rows of one padded attention call."""

    rows: int
    """Sequences in the group."""
    length: int
    """S: cells of a row, the tokens of the longest sequence or a few more."""
    real: Tensor | None
    """(rows, S) which cells are real tokens; None when all are."""

    @property
    def cells(self) -> int:
        """Cells of all rows, padding included."""
        return self.rows * self.length


@dataclass(frozen=True)
class Grouping:
    """All sequences of a batch in groups, whose cells are counted through all of them in turn."""

    groups: tuple[Group, ...]
    token_of_cell: Tensor
    """(C,) packed token in every cell; cells of padding point at a real token."""
    cell_of_token: Tensor
    """(T,) the cell that each packed token is in."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Where sequences lie in rows that are end to end: all that a block has to know of a batch."""

    lengths: tuple[int, ...]
    """Tokens of each of the B sequences; on the host, so that nothing waits for a device."""
    device: torch.device
    """Where the rows are."""

    @cached_property
    def offsets(self) -> Tensor:
        """(B+1,) int64: sequence b is rows[offsets[b]:offsets[b+1]]."""
        with torch.inference_mode(False):  # a batch that was read may still be learned from
            return torch.tensor(list(accumulate(self.lengths, initial=0))).to(self.device)

    @property
    def uniform_length(self) -> int | None:
        """The one length all sequences have, or None when they differ."""
        return self.lengths[0] if len(set(self.lengths)) == 1 else None

    @cached_property
    def grouping(self) -> Grouping:
        """The sequences in groups of nearly equal length, and the way there and back."""
        lengths = torch.tensor(self.lengths)
        starts = lengths.cumsum(0) - lengths
        order = torch.argsort(lengths, descending=True, stable=True)
        device = self.device
        cell_of_token = torch.empty(int(lengths.sum()), dtype=torch.long)
        groups, token_of_cell, first, cells = [], [], 0, 0
        while first < len(order):
            longest = int(lengths[order[first]])
            members = order[first:]
            members = members[lengths[members] >= GROUP_SHARE * longest]
            if longest > ROW_MULTIPLE:
                longest += -longest % ROW_MULTIPLE
            columns = torch.arange(longest)
            real = columns < lengths[members, None]
            tokens = starts[members, None] + torch.where(real, columns, 0)
            numbered = torch.arange(cells, cells + tokens.numel()).view_as(tokens)
            cell_of_token[tokens[real]] = numbered[real]
            mask = None if bool(real.all()) else real.to(device)
            groups.append(Group(len(members), longest, mask))
            token_of_cell.append(tokens.reshape(-1))
            first, cells = first + len(members), cells + tokens.numel()
        return Grouping(
            tuple(groups), torch.cat(token_of_cell).to(device), cell_of_token.to(device)
        )

    def filled(self: L, multiple: int) -> L:
        """The batch with one more sequence, of filling, where T is no multiple of a number.

        Nothing attends across sequences, so the first T rows of every result stay as they are.
        """
        missing = -sum(self.lengths) % multiple
        return self._with(missing) if missing else self

    def _with(self: L, more: int) -> L:
        return replace(self, lengths=(*self.lengths, more))

    def unpack(self, values: Tensor) -> list[Tensor]:
        """The rows of each sequence: (T, ...) in, a list of B tensors (len_i, ...) out."""
        return list(values.split(list(self.lengths)))


@dataclass(frozen=True, kw_only=True)
class PackedBatch(Layout):
    """Several sequences end to end: the only input a model takes."""

    tokens: Tensor
    """(T,) int64 token ids."""
    positions: Tensor
    """(T,) int64 position of each token in its own sequence."""
    segments: Tensor
    """(T,) int64 segment type of each token, 0 or 1."""
    device: torch.device = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "device", self.tokens.device)

    def _with(self, more: int) -> "PackedBatch":
        return self._of(lambda values: F.pad(values, (0, more)), (*self.lengths, more))

    def to(self, device: torch.device | str) -> "PackedBatch":
        """The batch on a device: itself where it is there."""
        if torch.device(device) == self.device:
            return self
        return self._of(lambda values: values.to(device), self.lengths)

    def _of(self, change: Callable[[Tensor], Tensor], lengths: tuple[int, ...]) -> "PackedBatch":
        return replace(
            self,
            tokens=change(self.tokens),
            positions=change(self.positions),
            segments=change(self.segments),
            lengths=lengths,
        )


def pack(
    sequences: Sequence[Sequence[int]], token_types: Sequence[Sequence[int]] | None = None
) -> PackedBatch:
    """Pack lists of token ids, special tokens included, into one batch without padding.

    `token_types` gives the segment type (0 or 1) of every token, 0 everywhere when left out.
    Raises InputError for an empty batch, an empty sequence or types of another length.
    """
    lengths = tuple(len(sequence) for sequence in sequences)
    if not lengths or min(lengths) == 0:
        raise InputError("cannot pack an empty sequence: give every sequence at least one token")
    if token_types is None:
        token_types = [[0] * length for length in lengths]
    if tuple(len(types) for types in token_types) != lengths:
        raise InputError("token_types must have one type for every token of every sequence")
    return PackedBatch(
        tokens=torch.tensor([token for sequence in sequences for token in sequence]),
        positions=torch.cat([torch.arange(length) for length in lengths]),
        segments=torch.tensor([kind for types in token_types for kind in types]),
        lengths=lengths,
    )
