"""Batches that run to their end, as servers of forward passes have them: the peer of DepthBatcher.

A forward takes a batch and returns it: its answers come together, and early exits end it once all
of its rows are sure. Until then all rows go on, as rows of a padded tensor do.
"""

import time
from collections.abc import Sequence

import torch

from litebert.infer.depth_batching import Answer, Leave, Request
from litebert.infer.policies import Static
from litebert.model.encoder import Model
from litebert.tasks.units import TokenSequence, packed_of


class WholeBatches:
    """Requests in the order they come, a whole forward of a batch at every step."""

    def __init__(self, model: Model, policy: Static, *, leave: Leave | None = None):
        self.model, self.policy, self.leave = model, policy, leave
        self.requests: dict[int, Request] = {}
        self._count = 0

    def submit(self, sequence: TokenSequence, *, may_leave: bool = False) -> int:
        """Take a request and return its number."""
        self._count += 1
        layers = len(self.model.layers(None))
        self.requests[self._count] = Request(
            self._count, sequence, layers, may_leave, time.perf_counter()
        )
        return self._count

    def __len__(self) -> int:
        return len(self.requests)

    @torch.inference_mode()
    def step(self) -> list[Answer]:
        """The answers of the next batch."""
        batch = self.policy.choose(list(self.requests.values()), time.perf_counter())
        hidden, packed = self.model.embed(packed_of([each.sequence for each in batch]))
        starts = packed.offsets[:-1].tolist()
        unsure = list(range(len(batch))) if self.leave and batch[0].may_leave else []
        leaves = bool(unsure)
        layers = self.model.layers(None)
        for done, layer in enumerate(layers, 1):
            for part in layer:
                hidden = self.model.apply_step(hidden, packed, part)
            if leaves and done < len(layers):
                unsure = self._unsure(batch, unsure, hidden, starts)
                if not unsure:
                    break
        now = time.perf_counter()
        for each in batch:
            del self.requests[each.number]
        # rows that fill a batch up, if any, are the last
        parts = packed.unpack(hidden)[: len(batch)]
        return [
            Answer(each.number, rows, done, now - each.arrival)
            for each, rows in zip(batch, parts, strict=True)
        ]

    def _unsure(
        self, batch: list[Request], asked: list[int], hidden: torch.Tensor, starts: Sequence[int]
    ) -> list[int]:
        assert self.leave is not None
        firsts = self.model.take(hidden, torch.tensor([starts[place] for place in asked]))
        gone = self.leave([batch[place] for place in asked], self.model.pooler(firsts))
        return [place for place, left in zip(asked, gone, strict=True) if not left]
