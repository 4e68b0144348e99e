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
from itertools import count

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from litebert.errors import InputError
from litebert.infer.policies import Policy
from litebert.model.encoder import Model
from litebert.model.packed import Layout
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
    rows: Tensor | None = None
    """(T, H) that its last step left; None before its first."""
    start: int = 0
    """Which of them is its first."""
    opinions: list = field(default_factory=list)
    """What the rule for leaving early remembers of it."""

    @property
    def hidden(self) -> Tensor:
        """(len, H) where it stands, from its first step on."""
        assert self.rows is not None
        return self.rows[self.start : self.start + self.tokens]

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

    An answer does not depend on which other requests were under way, but for rounding. `submit` and
    `cancel` may be called from other threads while one steps.
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
        self._numbers = count(1)
        self._layers = model.layers(None)
        self._device = model.embeddings.tokens.weight.device
        # of the last step: whom it took, how they lay, and what it left
        self._last: tuple[list[Request], Layout, Tensor] | None = None

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
        number = next(self._numbers)
        self.requests[number] = Request(number, sequence, layers, may_leave, self.clock())
        return number

    def cancel(self, number: int) -> bool:
        """Drop a request; False when it is not under way, being answered already for instance."""
        return self.requests.pop(number, None) is not None

    def __len__(self) -> int:
        return len(self.requests)

    @torch.inference_mode()
    def step(self) -> list[Answer]:
        """Move the chosen requests one layer on and return those that are at their end."""
        waiting = [each for each in list(self.requests.values()) if each.done < each.layers]
        chosen = self.policy.choose(waiting, self.clock())
        if not chosen:
            return self._finished([])
        # of layers that differ only one is applied at a time: that of the first request
        layer = self._layers[0]
        if not self.model.shares_layers:
            chosen = [each for each in chosen if each.done == chosen[0].done]
            layer = self._layers[chosen[0].done]
        hidden, layout = self._gathered(chosen)
        for part in layer:
            hidden = self.model.apply_step(hidden, layout, part)
        # only now: a block that failed left nobody anywhere
        self._last = chosen, layout, hidden
        start = 0
        for each in chosen:
            each.rows, each.start, each.done = hidden, start, each.done + 1
            start += each.tokens
        return self._finished(chosen)

    def _gathered(self, chosen: list[Request]) -> tuple[Tensor, Layout]:
        """(T, H) where they stand, end to end, and how they lie."""
        if self._last is not None and self._last[0] == chosen:
            return self._last[2], self._last[1]
        fresh = [each for each in chosen if each.rows is None]
        entering: dict[int, Tensor] = {}
        if fresh:
            packed = packed_of([each.sequence for each in fresh]).to(self._device)
            hidden, packed = self.model.embed(packed)
            if len(fresh) == len(chosen):
                return hidden, packed
            # the rows that fill a batch up, if any, are the last
            parts = packed.unpack(hidden)[: len(fresh)]
            entering = {each.number: rows for each, rows in zip(fresh, parts, strict=True)}
        hidden = _joined(
            [entering[each.number] if each.rows is None else each.hidden for each in chosen]
        )
        layout = self.model.filled(
            Layout(lengths=tuple(each.tokens for each in chosen), device=self._device)
        )
        if more := sum(layout.lengths) - len(hidden):
            hidden = F.pad(hidden, (0, 0, 0, more))
        return hidden, layout

    def _finished(self, chosen: list[Request]) -> list[Answer]:
        asked = [each for each in chosen if each.may_leave and each.done < each.layers]
        left = set()
        if self.leave is not None and asked:
            rows = asked[0].rows
            assert rows is not None
            firsts = self.model.take(rows, torch.tensor([each.start for each in asked]))
            leaves = self.leave(asked, self.model.pooler(firsts))
            left = {each.number for each, gone in zip(asked, leaves, strict=True) if gone}
        # of all: after a step that failed behind its block some are still here
        ended = [
            each
            for each in list(self.requests.values())
            if each.done >= each.layers or each.number in left
        ]
        now = self.clock()
        # copies: rows of a batch would keep all of it in memory
        answers = [
            Answer(each.number, _joined([each.hidden]), each.done, now - each.arrival)
            for each in ended
        ]
        # whom another thread cancelled meanwhile gets none
        return [each for each in answers if self.requests.pop(each.number, None) is not None]


def _joined(parts: list[Tensor]) -> Tensor:
    """Rows end to end, a copy."""
    if parts[0].device.type == "cpu" and parts[0].dtype == torch.float32:
        # by NumPy: PyTorch's threads would still wait for work when the step begins
        return torch.from_numpy(np.concatenate([part.numpy() for part in parts]))
    return torch.cat(parts)
