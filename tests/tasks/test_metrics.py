"""Metrics against their definitions in plain NumPy."""

import numpy as np
import pytest
from definitions import accuracy, f1, matthews, pearson, span_f1, spearman

from litebert.errors import InputError
from litebert.tasks.metrics import compute


def test_correlations_and_accuracies():
    draw = np.random.default_rng(0)
    for _ in range(20):
        truth, found = draw.integers(0, 2, 50), draw.integers(0, 2, 50)
        values = compute(("matthews", "accuracy", "f1"), found.tolist(), truth.tolist())
        assert values["matthews"] == pytest.approx(matthews(found, truth))
        assert values["accuracy"] == pytest.approx(accuracy(found, truth))
        assert values["f1"] == pytest.approx(f1(found, truth))
        scores, wanted = draw.normal(size=30), draw.normal(size=30).round(1)
        values = compute(("pearson", "spearman"), scores.tolist(), wanted.tolist())
        assert values["pearson"] == pytest.approx(pearson(scores, wanted))
        assert values["spearman"] == pytest.approx(spearman(scores, wanted))


def test_one_sided_predictions_score_nothing():
    assert compute(("matthews",), [1, 1, 1], [0, 1, 1]) == {"matthews": 0.0}
    assert compute(("pearson", "spearman"), [2.0, 2.0], [0.0, 1.0]) == {"pearson": 0, "spearman": 0}


def test_entities_by_borders_and_type():
    draw = np.random.default_rng(1)
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    for _ in range(20):
        truth = [draw.choice(names, 9).tolist() for _ in range(6)]
        found = [draw.choice(names, 9).tolist() for _ in range(6)]
        assert compute(("span_f1",), found, truth)["span_f1"] == pytest.approx(
            span_f1(found, truth)
        )


def test_several_classes():
    found = compute(("micro_f1",), [(0, 2), (), (1,)], [(0,), (1,), (1,)])
    assert found["micro_f1"] == pytest.approx(100 * 2 * 2 / (3 + 3))
    assert compute(("micro_f1",), [(), ()], [(0,), ()])["micro_f1"] == 0
    assert compute(("micro_f1",), [(), ()], [(), ()])["micro_f1"] == 100
    assert compute(("macro_f1",), [0, 1, 1], [0, 0, 1])["macro_f1"] == pytest.approx(200 / 3)


def test_nothing_to_score():
    with pytest.raises(InputError, match="no row has a label"):
        compute(("accuracy",), [], [])
