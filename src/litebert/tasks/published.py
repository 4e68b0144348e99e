"""Published development scores of the paper's tasks, to be set beside a result.

Lan et al. 2020 (arXiv 1909.11942) Tables 2 and 9, and the README of google-research/albert. Single
runs, the checkpoint chosen on the very development rows: a median chosen elsewhere is lower.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """One published score."""

    model: str
    metric: str
    value: float
    source: str


_README = "README of google-research/albert"
_TABLE_2, _TABLE_9 = "Table 2, 125k steps", "Table 9"

# name, F1 and exact match of SQuAD 1.1 and 2.0, MNLI, SST-2, RACE
_MAIN = {
    ("BERT base", _TABLE_2): (90.4, 83.2, 80.4, 77.6, 84.5, 92.8, 68.2),
    ("BERT large", _TABLE_2): (92.2, 85.5, 85.0, 82.2, 86.6, 93.0, 73.9),
    ("ALBERT base v1", _TABLE_2): (89.3, 82.3, 80.0, 77.1, 81.6, 90.3, 64.0),
    ("ALBERT large v1", _TABLE_2): (90.6, 83.9, 82.3, 79.4, 83.5, 91.7, 68.5),
    ("ALBERT xlarge v1", _TABLE_2): (92.5, 86.1, 86.1, 83.1, 86.4, 92.4, 74.8),
    ("ALBERT base v2", _README): (90.2, 83.2, 82.1, 79.3, 84.6, 92.9, 66.8),
    ("ALBERT large v2", _README): (91.8, 85.2, 84.9, 81.8, 86.5, 94.9, 75.2),
    ("ALBERT xlarge v2", _README): (92.9, 86.4, 87.9, 84.1, 87.9, 95.4, 80.7),
    ("ALBERT xxlarge v2", _README): (94.6, 89.1, 89.8, 86.9, 90.6, 96.8, 86.8),
}
_COLUMNS = (
    ("squad-1.1", "f1"),
    ("squad-1.1", "exact"),
    ("squad-2.0", "f1"),
    ("squad-2.0", "exact"),
    ("mnli", "accuracy"),
    ("sst-2", "accuracy"),
    ("race", "accuracy"),
)
# MNLI, QNLI, QQP, RTE, SST-2, MRPC, CoLA, STS-B
_GLUE = {
    "BERT large": (86.6, 92.3, 91.3, 70.4, 93.2, 88.0, 60.6, 90.0),
    "ALBERT xxlarge, 1.5M steps": (90.8, 95.3, 92.2, 89.2, 96.9, 90.9, 71.4, 93.0),
}
_GLUE_COLUMNS = (
    ("mnli", "accuracy"),
    ("qnli", "accuracy"),
    ("qqp", "accuracy"),
    ("rte", "accuracy"),
    ("sst-2", "accuracy"),
    ("mrpc", "accuracy"),
    ("cola", "matthews"),
    ("sts-b", "pearson"),
)


def published(task: str) -> list[Published]:
    """The published scores of a task, smaller models first; none for a user's own."""
    found = [
        Published(model, metric, value, source)
        for (model, source), values in _MAIN.items()
        for (name, metric), value in zip(_COLUMNS, values, strict=True)
        if name == task
    ]
    found += [
        Published(model, metric, value, _TABLE_9)
        for model, values in _GLUE.items()
        for (name, metric), value in zip(_GLUE_COLUMNS, values, strict=True)
        # the main table has these of BERT large
        if name == task and not (model == "BERT large" and name in ("mnli", "sst-2"))
    ]
    return found
