"""Claims as objects: a sentence, the contrasts it rests on, and a verdict with its uncertainty.

A contrast is a weighted sum of variants' values, positive where the claim is right. Variants of one
seed share their text and masks, so contrasts are taken seed by seed and then averaged.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import ndtri, stdtrit

Verdict = Literal["holds", "does not hold", "undecided", "not run"]

RESAMPLES = 10_000
LEVEL = 0.95
POWER = 0.8
# Beyond so many seeds nobody runs a study: the effect is called too small to matter.
MOST_SEEDS = 1000

Values = Mapping[str, Mapping[int, float]]
"""Of one metric: every variant's values by seed."""


@dataclass(frozen=True)
class Contrast:
    """What is compared: a weighted sum of variants on a metric, against a limit."""

    metric: str
    weights: Mapping[str, float]
    at_least: float = 0.0
    """What the weighted sum must exceed for the claim to be right."""


@dataclass(frozen=True)
class Claim:
    """A sentence that runs can support or refute; right when all its contrasts are."""

    name: str
    sentence: str
    contrasts: tuple[Contrast, ...]

    @property
    def variants(self) -> set[str]:
        """All that its contrasts are about."""
        return {name for contrast in self.contrasts for name in contrast.weights}


@dataclass(frozen=True, kw_only=True)
class Finding:
    """A contrast as measured."""

    contrast: Contrast
    mean: float
    low: float
    high: float
    """95 % interval of the mean."""
    seeds: int
    seeds_needed: int | None
    """How many seeds would most likely tell it from `at_least`, at this mean and spread; None when
    it is told apart, or when more than MOST_SEEDS are needed."""

    @property
    def verdict(self) -> Verdict:
        """Where the interval lies."""
        if self.low > self.contrast.at_least:
            return "holds"
        return "does not hold" if self.high < self.contrast.at_least else "undecided"


@dataclass(frozen=True)
class Judgement:
    """A claim with what was found for it."""

    claim: Claim
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """It holds when every contrast does, and does not when any does not."""
        verdicts = [finding.verdict for finding in self.findings]
        if len(verdicts) < len(self.claim.contrasts):
            return "not run"
        if "does not hold" in verdicts:
            return "does not hold"
        return "undecided" if "undecided" in verdicts else "holds"


def judge(claim: Claim, metrics: Mapping[str, Values]) -> Judgement:
    """Judge a claim by the values of every metric; contrasts without all their runs are left out.

    Only seeds that all variants of a contrast have count.
    """
    findings = []
    for contrast in claim.contrasts:
        values = metrics.get(contrast.metric, {})
        seeds = set.intersection(*(set(values.get(name, ())) for name in contrast.weights))
        if seeds:
            sums = [
                sum(weight * values[name][seed] for name, weight in contrast.weights.items())
                for seed in sorted(seeds)
            ]
            findings.append(measure(contrast, np.array(sums)))
    return Judgement(claim, tuple(findings))


def measure(contrast: Contrast, by_seed: np.ndarray) -> Finding:
    """A contrast's mean over seeds with its bootstrap interval."""
    mean, count = float(by_seed.mean()), len(by_seed)
    low, high = interval(by_seed)
    finding = Finding(
        contrast=contrast, mean=mean, low=low, high=high, seeds=count, seeds_needed=None
    )
    if finding.verdict != "undecided" or count < 2:
        return finding
    needed = seeds_needed(mean - contrast.at_least, float(by_seed.std(ddof=1)), more_than=count)
    return Finding(**{**vars(finding), "seeds_needed": needed})


def interval(by_seed: np.ndarray) -> tuple[float, float]:
    """95 % interval of the mean over seeds: a bootstrap widened for few seeds.

    Resampled means of n values spread too little by sqrt((n - 1) / n), and their quantiles are
    those of a normal distribution; the deviations are multiplied by what Student's t needs instead
    (Hesterberg 2015, section 4). Two seeds leave nothing to draw from and get Student's interval,
    one seed has none.
    """
    count = len(by_seed)
    if count < 2:
        return -math.inf, math.inf
    if count == 2:
        half = stdtrit(1, (1 + LEVEL) / 2) * by_seed.std(ddof=1) / math.sqrt(2)
        return float(by_seed.mean() - half), float(by_seed.mean() + half)
    draw = np.random.Generator(np.random.Philox(20191012))
    means = by_seed[draw.integers(0, count, (RESAMPLES, count))].mean(1)
    tail = (1 - LEVEL) / 2
    wider = stdtrit(count - 1, 1 - tail) / ndtri(1 - tail)
    wider *= math.sqrt(count / (count - 1))
    mean = by_seed.mean()
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(mean + wider * (low - mean)), float(mean + wider * (high - mean))


def seeds_needed(distance: float, deviation: float, *, more_than: int = 1) -> int | None:
    """Seeds of which four studies in five would tell a mean so far off from its limit.

    None above MOST_SEEDS.
    """
    for count in range(more_than + 1, MOST_SEEDS + 1):
        spread = stdtrit(count - 1, (1 + LEVEL) / 2) + ndtri(POWER)
        if spread * deviation / math.sqrt(count) < abs(distance):
            return count
    return None
