"""From scores of borders to answers: the likeliest spans of a window, and its null score.

Google's squad_utils.py: 20 starts x 20 ends (5 x 5 with the paper's head); a span must lie in the
context, start where this window shows it best, and have at most 30 tokens.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from litebert.tasks.spans import Window

STARTS = ENDS = 20
ENDS_OF_A_START = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A possible answer."""

    start: int
    """First character in the context."""
    end: int
    """One past the last character."""
    score: float
    """Sum of both borders' log-probabilities."""


def best_spans(
    starts_S: np.ndarray,
    ends: np.ndarray,
    chosen_K: np.ndarray | None,
    window: "Window",
    *,
    longest: int,
) -> list[Candidate]:
    """The allowed spans of a window, best first, at most 20.

    `ends` is (S,), or (K, S) given each of the chosen starts.
    """
    if chosen_K is None:
        first_K = np.argsort(-starts_S, kind="stable")[:STARTS]
        last_K = np.argsort(-ends, kind="stable")[:ENDS]
        pairs = [(start, end, starts_S[start] + ends[end]) for start in first_K for end in last_K]
    else:
        pairs = [
            (start, end, starts_S[start] + ends[k, end])
            for k, start in enumerate(chosen_K)
            if start < len(starts_S)
            for end in np.argsort(-ends[k], kind="stable")[:ENDS_OF_A_START]
        ]
    found = []
    count = len(window.characters)
    for start, end, score in sorted(pairs, key=lambda pair: -pair[2]):
        first, last = start - window.context_at, end - window.context_at
        if not (0 <= first <= last < count and last - first < longest and window.best[first]):
            continue
        begin, stop = window.characters[first][0], window.characters[last][1]
        if begin < stop:
            found.append(Candidate(begin, stop, float(score)))
    return found[:20]


def null_score(starts_S: np.ndarray, ends_S: np.ndarray) -> float:
    """Log-probability that both borders are [CLS]: no answer in this window."""
    return float(starts_S[0] + ends_S[0])
