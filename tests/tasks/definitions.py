"""Metrics written out from their definitions in plain NumPy: what the package's are held against.

Answers and truths are lists of equal length; values are per cent.
"""

import numpy as np


def confusion(found, truth):
    """True and false positives, false and true negatives of labels "1" and "0" (or 1 and 0)."""
    pairs = [(str(t), str(f)) for t, f in zip(truth, found, strict=True)]
    return [pairs.count(pair) for pair in (("1", "1"), ("0", "1"), ("1", "0"), ("0", "0"))]


def accuracy(found, truth):
    return 100 * np.mean([a == b for a, b in zip(found, truth, strict=True)])


def f1(found, truth):
    tp, fp, fn, _ = confusion(found, truth)
    return 100 * 2 * tp / max(1, 2 * tp + fp + fn)


def matthews(found, truth):
    tp, fp, fn, tn = confusion(found, truth)
    bottom = np.sqrt(float((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))
    return 0.0 if not bottom else 100 * (tp * tn - fp * fn) / bottom


def pearson(found, truth):
    return 100 * np.corrcoef(found, truth)[0, 1]


def spearman(found, truth):
    return pearson(ranks(found), ranks(truth))


def ranks(values):
    """Ties share the mean of their ranks."""
    ordered = np.sort(values)
    low, high = (np.searchsorted(ordered, values, side) for side in ("left", "right"))
    return (low + high) / 2


def span_f1(found, truth):
    """F1 of entities by borders and type over sentences of IOB2 tags, as CoNLL counts."""
    wanted = {(n, *e) for n, tags in enumerate(truth) for e in entities(tags)}
    given = {(n, *e) for n, tags in enumerate(found) for e in entities(tags)}
    return 100 * 2 * len(wanted & given) / (len(wanted) + len(given))


def entities(tags):
    """(type, begin, end) of IOB2 tags."""
    found, begin, kind = set(), None, None
    for place, tag in enumerate([*tags, "O"]):
        if begin is not None and (tag == "O" or tag.startswith("B-") or tag[2:] != kind):
            found.add((kind, begin, place))
            begin = None
        if tag != "O" and begin is None:
            begin, kind = place, tag[2:]
    return found
