"""The official metric of every kind of task, from scikit-learn, scipy and seqeval, in per cent."""

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from litebert.errors import InputError


def accuracy(predictions: Sequence[int], labels: Sequence[int]) -> float:
    """Share of right predictions."""
    from sklearn.metrics import accuracy_score

    return float(accuracy_score(labels, predictions))


def f1(predictions: Sequence[int], labels: Sequence[int]) -> float:
    """F1 of class 1, as GLUE scores MRPC and QQP."""
    return _sklearn_f1(labels, predictions)


def macro_f1(predictions: Sequence[int], labels: Sequence[int]) -> float:
    """Unweighted mean of the F1 of all classes."""
    return _sklearn_f1(labels, predictions, average="macro")


def matthews(predictions: Sequence[int], labels: Sequence[int]) -> float:
    """Matthews correlation; 0 when one side has one class only."""
    from sklearn.metrics import matthews_corrcoef

    return float(matthews_corrcoef(labels, predictions))


def pearson(predictions: Sequence[float], labels: Sequence[float]) -> float:
    """Pearson correlation; 0 when all predictions are equal."""
    from scipy.stats import pearsonr

    return _correlation(pearsonr, predictions, labels)


def spearman(predictions: Sequence[float], labels: Sequence[float]) -> float:
    """Spearman rank correlation; 0 when all predictions are equal."""
    from scipy.stats import spearmanr

    return _correlation(spearmanr, predictions, labels)


def micro_f1(predictions: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> float:
    """F1 over all (row, class) pairs of a multi-label task."""
    from sklearn.metrics import f1_score
    from sklearn.preprocessing import MultiLabelBinarizer

    # two classes that never occur: of a single column the library would make a binary task
    classes = sorted({one for row in (*predictions, *labels) for one in row} | {-1, -2})
    binary = MultiLabelBinarizer(classes=classes)
    truth, found = binary.fit_transform(labels), binary.transform(predictions)
    return float(f1_score(truth, found, average="micro", zero_division=1))  # type: ignore[arg-type]


def span_f1(predictions: Sequence[Sequence[str]], labels: Sequence[Sequence[str]]) -> float:
    """F1 of entities by borders and type, as the CoNLL scorer counts them."""
    from seqeval.metrics import f1_score

    with warnings.catch_warnings():  # a type that is never predicted counts as 0
        warnings.simplefilter("ignore")
        found = f1_score(list(map(list, labels)), list(map(list, predictions)))
    assert isinstance(found, float)  # a list only when no average is asked for
    return float(found)


METRICS = {
    "accuracy": accuracy,
    "f1": f1,
    "macro_f1": macro_f1,
    "matthews": matthews,
    "pearson": pearson,
    "spearman": spearman,
    "micro_f1": micro_f1,
    "span_f1": span_f1,
}


def compute(names: Sequence[str], predictions: Sequence, labels: Sequence) -> dict[str, float]:
    """Metrics by name, each times 100. Raises InputError when there is nothing to score."""
    if not len(labels):
        raise InputError("nothing to score: no row has a label")
    return {name: 100 * METRICS[name](predictions, labels) for name in names}


def _sklearn_f1(labels: Any, predictions: Any, **how: Any) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(labels, predictions, zero_division=0, **how))  # type: ignore[arg-type]


def _correlation(
    function: Callable, predictions: Sequence[float], labels: Sequence[float]
) -> float:
    if len(labels) < 2 or np.ptp(predictions) == 0 or np.ptp(labels) == 0:
        return 0.0
    return float(function(predictions, labels).statistic)
