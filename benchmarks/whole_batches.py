"""Batches that run to their end, as servers of forward passes have them: the peer of DepthBatcher.

A forward takes a batch and returns it: its answers come together, and early exits end it once all
of its rows are sure. Until then all rows go on, as rows of a padded tensor do.
"""

import torch

from litebert.infer.depth_batching import Answer, DepthBatcher
from litebert.tasks.units import packed_of


class WholeBatches(DepthBatcher):
    """Takes requests as a DepthBatcher does; a step is a whole forward of the policy's batch."""

    @torch.inference_mode()
    def step(self) -> list[Answer]:
        """The answers of the next batch, of which all or none may leave early."""
        batch = self.policy.choose(list(self.requests.values()), self.clock())
        hidden, packed = self.model.embed(packed_of([each.sequence for each in batch]))
        for each, start in zip(batch, packed.offsets.tolist(), strict=False):
            each.start = start
        unsure = batch if self.leave and batch[0].may_leave else []
        layers = self.model.layers(None)
        for done, layer in enumerate(layers, 1):
            for part in layer:
                hidden = self.model.apply_step(hidden, packed, part)
            if self.leave and unsure and done < len(layers):
                firsts = self.model.take(hidden, torch.tensor([each.start for each in unsure]))
                gone = self.leave(unsure, self.model.pooler(firsts))
                unsure = [each for each, left in zip(unsure, gone, strict=True) if not left]
                if not unsure:
                    break
        now = self.clock()
        for each in batch:
            del self.requests[each.number]
        # rows that fill a batch up, if any, are the last
        parts = packed.unpack(hidden)[: len(batch)]
        return [
            Answer(each.number, rows, done, now - each.arrival)
            for each, rows in zip(batch, parts, strict=True)
        ]
