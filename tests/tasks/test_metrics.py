"""Metrics against their definitions in plain NumPy."""

import numpy as np
import pytest

from litebert.errors import InputError
from litebert.tasks.metrics import compute


def test_correlations_and_accuracies():
    draw = np.random.default_rng(0)
    for _ in range(20):
        truth, found = draw.integers(0, 2, 50), draw.integers(0, 2, 50)
        tp = np.sum((truth == 1) & (found == 1))
        tn = np.sum((truth == 0) & (found == 0))
        fp, fn = np.sum(found > truth), np.sum(found < truth)
        bottom = np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
        values = compute(("matthews", "accuracy", "f1"), found.tolist(), truth.tolist())
        assert values["matthews"] == pytest.approx(100 * (tp * tn - fp * fn) / bottom)
        assert values["accuracy"] == pytest.approx(2 * (tp + tn))
        assert values["f1"] == pytest.approx(100 * 2 * tp / (2 * tp + fp + fn))
        scores, wanted = draw.normal(size=30), draw.normal(size=30).round(1)
        values = compute(("pearson", "spearman"), scores.tolist(), wanted.tolist())
        assert values["pearson"] == pytest.approx(100 * np.corrcoef(scores, wanted)[0, 1])

        def ranks(x):  # ties share the mean of their ranks
            return np.array([np.mean(np.flatnonzero(np.sort(x) == value)) for value in x])

        expected = 100 * np.corrcoef(ranks(scores), ranks(wanted))[0, 1]
        assert values["spearman"] == pytest.approx(expected)


def test_one_sided_predictions_score_nothing():
    assert compute(("matthews",), [1, 1, 1], [0, 1, 1]) == {"matthews": 0.0}
    assert compute(("pearson", "spearman"), [2.0, 2.0], [0.0, 1.0]) == {"pearson": 0, "spearman": 0}


def entities(tags):
    """(type, begin, end) of IOB2 tags, as the CoNLL scorer reads them."""
    found, begin, kind = set(), None, None
    for place, tag in enumerate([*tags, "O"]):
        if begin is not None and (tag == "O" or tag.startswith("B-") or tag[2:] != kind):
            found.add((kind, begin, place))
            begin = None
        if tag != "O" and begin is None:
            begin, kind = place, tag[2:]
    return found


def test_entities_by_borders_and_type():
    draw = np.random.default_rng(1)
    names = ["O", "B-a", "I-a", "B-b", "I-b"]
    for _ in range(20):
        truth = [draw.choice(names, 9).tolist() for _ in range(6)]
        found = [draw.choice(names, 9).tolist() for _ in range(6)]
        wanted = {(n, *e) for n, tags in enumerate(truth) for e in entities(tags)}
        given = {(n, *e) for n, tags in enumerate(found) for e in entities(tags)}
        expected = 100 * 2 * len(wanted & given) / (len(wanted) + len(given))
        assert compute(("span_f1",), found, truth)["span_f1"] == pytest.approx(expected)


def test_several_classes():
    found = compute(("micro_f1",), [(0, 2), (), (1,)], [(0,), (1,), (1,)])
    assert found["micro_f1"] == pytest.approx(100 * 2 * 2 / (3 + 3))
    assert compute(("micro_f1",), [(), ()], [(0,), ()])["micro_f1"] == 0
    assert compute(("micro_f1",), [(), ()], [(), ()])["micro_f1"] == 100
    assert compute(("macro_f1",), [0, 1, 1], [0, 0, 1])["macro_f1"] == pytest.approx(200 / 3)


def test_nothing_to_score():
    with pytest.raises(InputError, match="no row has a label"):
        compute(("accuracy",), [], [])
