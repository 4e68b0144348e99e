"""Batching across depth: requests that stand at different layers share one call of the block.

ALBERT applies one block again and again, so a sequence that enters and one that is nearly done can
take their next step together: new requests join between steps, finished ones leave, cancelled ones
are dropped within a step (after Bae et al. 2024, arXiv 2410.20672, and Schwethelm et al. 2026,
arXiv 2608.09444, who do it for decoders). Models whose layers differ are stepped layer by layer.
"""

# T = packed tokens, H = hidden

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litebert.errors import InputError
from litebert.infer.policies import Policy
from litebert.model.encoder import Model
from litebert.model.packed import PackedBatch
from litebert.tasks.units import TokenSequence, packed_of

Leave = Callable[[list["Request"], Tensor], Sequence[bool]]
"""Of requests and their pooled first tokens (R, H), which need no further layer."""


@dataclass(eq=False)
class Request:
    """A sequence on its way through the layers."""

    number: int
    sequence: TokenSequence
    layers: int
    """How many it is to pass at most."""
    may_leave: bool
    """Whether it may have its answer earlier."""
    arrival: float
    done: int = 0
    """Layers it has passed."""
    hidden: Tensor | None = None
    """(len, H) where it stands; None before its first step."""
    opinions: list = field(default_factory=list)
    """What the rule for leaving early remembers of it."""

    @property
    def tokens(self) -> int:
        """Its length."""
        return len(self.sequence.tokens)

    @property
    def work(self) -> int:
        """Tokens times layers that are left."""
        return self.tokens * (self.layers - self.done)


@dataclass(frozen=True)
class Answer:
    """A request at its end."""

    number: int
    hidden: Tensor
    """(len, H) after its last layer."""
    layers: int
    """How many it passed."""
    seconds: float
    """From its arrival; on a GPU until the work was given to it, not until it was done."""


class DepthBatcher:
    """Takes requests at any time and moves those that a policy chooses one layer on, a call each.

    An answer does not depend on which other requests were under way, but for rounding.
    """

    def __init__(
        self,
        model: Model,
        policy: Policy,
        *,
        leave: Leave | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ):
        if model.windows is not None:
            raise InputError("windows differ from layer to layer, and here layers go together")
        self.model, self.policy, self.leave, self.clock = model, policy, leave, clock
        self.requests: dict[int, Request] = {}
        self._count = 0
        # by the numbers of the requests: the last batch, and where the last step left them
        self._last: tuple[tuple[int, ...], PackedBatch] | None = None
        self._left: tuple[tuple[int, ...], Tensor] | None = None

    def submit(
        self, sequence: TokenSequence, *, depth: int | None = None, may_leave: bool = False
    ) -> int:
        """Take a request and return its number.

        Raises InputError for a sequence longer than the model's positions, and for a depth that it
        cannot run at.
        """
        limit = self.model.config.max_positions
        if not 1 <= len(sequence.tokens) <= limit:
            raise InputError(f"{len(sequence.tokens)} tokens: the model reads 1 to {limit}")
        layers = len(self.model.layers(depth))
        self._count += 1
        self.requests[self._count] = Request(self._count, sequence, layers, may_leave, self.clock())
        return self._count

    def cancel(self, number: int) -> bool:
        """Drop a request; False when it is not under way, being answered already for instance."""
        return self.requests.pop(number, None) is not None

    def __len__(self) -> int:
        return len(self.requests)

    @torch.inference_mode()
    def step(self) -> list[Answer]:
        """Move the chosen requests one layer on and return those that are at their end."""
        chosen = self.policy.choose(list(self.requests.values()), self.clock())
        if not chosen:
            return []
        # of layers that differ only one is applied at a time: that of the first request
        layers = self.model.layers(None) if not self.model.shares_layers else None
        if layers is not None:
            chosen = [each for each in chosen if each.done == chosen[0].done]
        self._embed([each for each in chosen if each.hidden is None])
        hidden = self._joined(chosen)
        packed = self._packed(chosen)
        real = len(hidden)
        if more := len(packed.tokens) - real:
            hidden = F.pad(hidden, (0, 0, 0, more))
        steps = self.model.layers(None)[0 if layers is None else chosen[0].done]
        for part in steps:
            hidden = self.model.apply_step(hidden, packed, part)
        # only now: a step that failed left nobody anywhere
        self._left = tuple(each.number for each in chosen), hidden[:real]
        lengths = [each.tokens for each in chosen]
        for each, rows in zip(chosen, hidden[:real].split(lengths), strict=True):
            each.hidden, each.done = rows, each.done + 1
        return self._finished(chosen)

    def _embed(self, fresh: list[Request]) -> None:
        if fresh:
            packed = self._place(packed_of([each.sequence for each in fresh]))
            hidden, _ = self.model.embed(packed)
            parts = hidden[: len(packed.tokens)].split([each.tokens for each in fresh])
            for each, rows in zip(fresh, parts, strict=True):
                each.hidden = rows

    def _joined(self, chosen: list[Request]) -> Tensor:
        """(T, H) where they stand, end to end: those of the last step as they came out of it."""
        if self._left is not None and self._left[0] == tuple(each.number for each in chosen):
            return self._left[1]
        parts = [each.hidden for each in chosen if each.hidden is not None]
        if parts[0].device.type == "cpu" and parts[0].dtype == torch.float32:
            # by NumPy: PyTorch's threads would still wait for work when the step begins
            return torch.from_numpy(np.concatenate([part.numpy() for part in parts]))
        return torch.cat(parts)

    def _packed(self, chosen: list[Request]) -> PackedBatch:
        """The batch of some requests; the last one again when they are the same."""
        numbers = tuple(each.number for each in chosen)
        if self._last is None or self._last[0] != numbers:
            packed = self._place(packed_of([each.sequence for each in chosen]))
            self._last = numbers, self.model.filled(packed)
        return self._last[1]

    def _place(self, packed: PackedBatch) -> PackedBatch:
        return packed.to(self.model.embeddings.tokens.weight.device)

    def _finished(self, chosen: list[Request]) -> list[Answer]:
        ended = {each.number for each in chosen if each.done == each.layers}
        asked = [each for each in chosen if each.may_leave and each.number not in ended]
        if self.leave is not None and asked:
            firsts = torch.stack([each.hidden[0] for each in asked if each.hidden is not None])
            left = self.leave(asked, self.model.pooler(firsts))
            ended |= {each.number for each, gone in zip(asked, left, strict=True) if gone}
        now, answers = self.clock(), []
        for each in chosen:
            if each.number in ended:
                del self.requests[each.number]
                assert each.hidden is not None
                # of its own: rows of a batch would keep all of it in memory
                hidden = each.hidden.clone()
                answers.append(Answer(each.number, hidden, each.done, now - each.arrival))
        return answers
