"""Who takes the next step: first come first served, by length, or whoever is soonest done.

A policy sees every request that is under way or waits and chooses those that move one layer on.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Pending(Protocol):
    """What a policy knows of a request."""

    @property
    def number(self) -> int:
        """Requests are numbered as they come."""
        ...

    @property
    def tokens(self) -> int:
        """Its length."""
        ...

    @property
    def work(self) -> int:
        """Tokens times layers that are left."""
        ...

    @property
    def arrival(self) -> float:
        """When it came."""
        ...


P = TypeVar("P", bound=Pending)


class Policy(Protocol):
    """Chooses the requests of a step."""

    def choose(self, requests: Sequence[P], now: float) -> list[P]:
        """Some of the requests, which are in the order they came; none only when there are none."""
        ...


class Static:
    """Batches in the order of arrival, each run to its end.

    What leaves early or is cancelled leaves a hole that nobody fills. Servers of whole forwards
    hold even that: their answers come together (benchmarks/whole_batches.py).
    """

    def __init__(self, batch_tokens: int):
        self.batch_tokens = batch_tokens
        self.members: set[int] = set()

    def choose(self, requests: Sequence[P], now: float) -> list[P]:
        """Those of the batch that are left, or the next batch."""
        running = [each for each in requests if each.number in self.members]
        if not running:
            running = self._next(requests)
            self.members = {each.number for each in running}
        return running

    def _next(self, requests: Sequence[P]) -> list[P]:
        return _first_that_fit(requests, self.batch_tokens)


class LengthSorted(Static):
    """Batches of like length out of the next few, each run to its end.

    The oldest request is always in the next batch, so none waits for ever.
    """

    LOOK = 4
    """Batches' worth of requests that are sorted."""

    def _next(self, requests: Sequence[P]) -> list[P]:
        if not requests:
            return []
        seen = _first_that_fit(requests, self.LOOK * self.batch_tokens)
        oldest = seen[0]
        nearest = sorted(seen, key=lambda each: abs(each.tokens - oldest.tokens))
        return _first_that_fit(nearest, self.batch_tokens)


class DepthContinuous:
    """Every step anew those that are soonest done, up to so many tokens.

    Where a step takes time by its tokens, joining everybody would make all wait for all; so a step
    takes no more tokens than it needs to run efficiently (StepTime.knee), shortest remaining work
    first. `ageing` is the work, tokens times layers, that a second of waiting is worth.
    """

    def __init__(self, step_tokens: int, *, ageing: float = 0.0):
        self.step_tokens, self.ageing = step_tokens, ageing

    def choose(self, requests: Sequence[P], now: float) -> list[P]:
        """The requests of least remaining work, the waiting of each taken off."""

        def urgency(each: P) -> float:
            return each.work - self.ageing * (now - each.arrival)

        return _first_that_fit(sorted(requests, key=urgency), self.step_tokens)


def _first_that_fit(requests: Sequence[P], tokens: int) -> list[P]:
    """Requests in turn while they fit, and the first in any case."""
    taken, used = [], 0
    for each in requests:
        if taken and used + each.tokens > tokens:
            break
        taken.append(each)
        used += each.tokens
    return taken
