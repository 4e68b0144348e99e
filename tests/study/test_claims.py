"""Verdicts: an interval that covers as often as it says, and the seeds that would decide."""

import numpy as np
import pytest

from litebert.study.claims import Claim, Contrast, interval, judge, seeds_needed

CLAIM = Claim("wide", "a is above b", (Contrast("loss", {"a": 1.0, "b": -1.0}),))


def by_seed(values):
    return {name: dict(enumerate(row)) for name, row in values.items()}


@pytest.mark.parametrize(("seeds", "least"), [(2, 0.92), (3, 0.90), (5, 0.91), (10, 0.92)])
def test_intervals_cover_the_truth(seeds, least):
    draw = np.random.default_rng(seeds)
    covered = []
    for _ in range(300):
        low, high = interval(draw.normal(1.0, 0.5, seeds))
        covered.append(low < 1.0 < high)
    assert np.mean(covered) > least


def test_verdicts():
    def verdict(a, b):
        return judge(CLAIM, {"loss": by_seed({"a": a, "b": b})}).verdict

    assert verdict([2.0, 2.1, 2.05], [1.0, 1.1, 1.02]) == "holds"
    assert verdict([1.0, 1.1, 1.02], [2.0, 2.1, 2.05]) == "does not hold"
    assert verdict([1.0, 2.0, 3.0], [1.5, 1.4, 2.9]) == "undecided"
    both = {"a": {0: 5.0, 2: 3.0, 4: 3.1}, "b": {2: 1.0, 4: 1.2, 5: 9.0}}
    assert judge(CLAIM, {"loss": both}).findings[0].seeds == 2, "seeds that both have"
    assert verdict([1.0], [0.0]) == "undecided", "one seed decides nothing"
    assert verdict([], [0.0]) == "not run"
    assert judge(CLAIM, {}).verdict == "not run"


def test_seeds_are_paired():
    # the seeds differ far more than the variants do
    base, noise = np.array([1.0, 5.0, 9.0]), np.array([0.10, 0.11, 0.09])
    found = judge(CLAIM, {"loss": by_seed({"a": base + noise, "b": base})})
    assert found.verdict == "holds"
    assert found.findings[0].mean == pytest.approx(0.1)


def test_all_contrasts_must_hold():
    claim = Claim("peak", "b is best", (
        Contrast("x", {"b": 1.0, "a": -1.0}), Contrast("x", {"b": 1.0, "c": -1.0}),
    ))  # fmt: skip
    values = {"a": [1.0, 1.1], "b": [3.0, 3.1], "c": [2.0, 2.1]}
    assert judge(claim, {"x": by_seed(values)}).verdict == "holds"
    assert judge(claim, {"x": by_seed({**values, "c": [4.0, 4.1]})}).verdict == "does not hold"
    assert judge(claim, {"x": by_seed({"a": [1.0, 1.1], "b": [3.0, 3.1]})}).verdict == "not run"


def test_seeds_needed_decide():
    draw = np.random.default_rng(1)
    count = seeds_needed(0.3, 0.5)
    assert count is not None
    decided = [interval(draw.normal(0.3, 0.5, count))[0] > 0 for _ in range(100)]
    assert 0.65 < np.mean(decided) < 0.95
    assert seeds_needed(1e-6, 1.0) is None
    assert seeds_needed(10.0, 0.1) == 2
    assert seeds_needed(10.0, 0.1, more_than=3) == 4


def test_a_margin():
    claim = Claim("much", "more than half", (Contrast("x", {"a": 1.0, "b": -1.0}, at_least=0.5),))
    values = {"a": [1.0, 1.02, 0.98], "b": [0.7, 0.71, 0.69]}
    assert judge(claim, {"x": by_seed(values)}).verdict == "does not hold"
