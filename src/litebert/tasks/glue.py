"""The GLUE tasks from their official TSV files: columns, labels in Google's order, metrics.

Wang et al. 2019 (arXiv 1804.07461); label order as in google-research/albert classifier_utils.py.
Files are read without quotes; test files have no labels, and submissions are made from them.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from litebert.errors import InputError
from litebert.tasks.example import Dataset, Kind, TextExample
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import LEFT_OUT, read_rows


@dataclass(frozen=True, kw_only=True)
class GlueTask:
    """Where the texts and labels of one GLUE task stand, and how it is scored."""

    folder: str
    """Its folder in the GLUE download, and the name of its submission file."""
    first: str
    second: str | None = None
    label: str = "label"
    labels: tuple[str, ...] = ("0", "1")
    kind: Kind = "classification"
    metrics: tuple[str, ...] = ("accuracy",)
    """The official ones; the first chooses checkpoints."""
    header: tuple[str, ...] | None = None
    """Columns of training and development files that have no header line."""
    dev: tuple[str, ...] = ("dev",)
    test: tuple[str, ...] = ("test",)


_ENTAILMENT = ("entailment", "not_entailment")
_NLI = ("contradiction", "entailment", "neutral")

GLUE = {
    "cola": GlueTask(
        folder="CoLA",
        first="sentence",
        header=("source", "label", "star", "sentence"),
        metrics=("matthews", "accuracy"),
    ),
    "sst-2": GlueTask(folder="SST-2", first="sentence"),
    "mrpc": GlueTask(
        folder="MRPC",
        first="#1 String",
        second="#2 String",
        label="Quality",
        metrics=("accuracy", "f1"),
    ),
    "sts-b": GlueTask(
        folder="STS-B",
        first="sentence1",
        second="sentence2",
        label="score",
        labels=(),
        kind="regression",
        metrics=("pearson", "spearman"),
    ),
    "qqp": GlueTask(
        folder="QQP",
        first="question1",
        second="question2",
        label="is_duplicate",
        metrics=("accuracy", "f1"),
    ),
    "mnli": GlueTask(
        folder="MNLI",
        first="sentence1",
        second="sentence2",
        label="gold_label",
        labels=_NLI,
        dev=("dev_matched", "dev_mismatched"),
        test=("test_matched", "test_mismatched"),
    ),
    "qnli": GlueTask(folder="QNLI", first="question", second="sentence", labels=_ENTAILMENT),
    "rte": GlueTask(folder="RTE", first="sentence1", second="sentence2", labels=_ENTAILMENT),
    "wnli": GlueTask(folder="WNLI", first="sentence1", second="sentence2"),
}
# The diagnostic set has no training rows: a model of MNLI answers it.
DIAGNOSTIC = "diagnostic.tsv"
DIAGNOSTIC_PLACES = ("diagnostic/diagnostic.tsv", "AX/AX.tsv")

# The names that the GLUE server asks for.
_SUBMISSIONS = {
    "MNLI/test_matched": "MNLI-m",
    "MNLI/test_mismatched": "MNLI-mm",
    "MNLI/diagnostic": "AX",
    "MNLI/AX": "AX",
}


def read_glue(
    path: Path, task: GlueTask, problems: Problems, *, labelled: bool, complete: bool = False
) -> Dataset:
    """One TSV file of a GLUE task; a test file's rows have no labels (`labelled` False).

    Rows that cannot be used go to `problems`. Raises InputError when a column is missing, and for
    any such row where the file has to be `complete`, as a submission's has.
    """
    columns = task.header if labelled else None
    before = sum(problems.counts.values())
    rows = read_rows(path, problems, columns=columns)
    examples = list(_examples(rows, task, problems, labelled=labelled))
    if complete and sum(problems.counts.values()) > before:
        found = "; ".join(problems.lines())
        raise InputError(f"{path}: a submission needs every row, but {found}: mend the file")
    if not examples:
        found = "; ".join(problems.lines()) or "there is none below its header"
        raise InputError(f"{path}: no row of it can be used ({found}): mend the file")
    return Dataset(task.kind, task.labels, examples)


def has_columns_of(path: Path, task: GlueTask) -> bool:
    """Whether the first line of a file may be that of a task's: True where its files have none."""
    if task.header is not None or not path.is_file():
        return True
    with path.open("rb") as file:
        names = file.readline().decode("utf-8-sig", "replace").rstrip("\r\n").split("\t")
    return task.first in names or task.second in names


def _examples(
    rows: Iterable, task: GlueTask, problems: Problems, *, labelled: bool
) -> Iterator[TextExample]:
    wanted = [name for name in (task.first, task.second, task.label if labelled else None) if name]
    numbers = {name: number for number, name in enumerate(task.labels)}
    for place, values in rows:
        missing = [name for name in wanted if name not in values]
        if missing:
            raise InputError(f"{place}: no column {missing[0]!r}; found {', '.join(values)}")
        label = None
        if labelled:
            text = values[task.label].strip()
            label = _score(text) if task.kind == "regression" else numbers.get(text)
            if label is None:
                problems.report(place, "an unknown label", found=text, done=LEFT_OUT)
                continue
        yield TextExample(
            id=values.get("index", place.rpartition(":")[2]),
            place=place,
            first=values[task.first],
            second=None if task.second is None else values[task.second],
            label=label,
        )


def _score(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


def submission(path: Path, task: GlueTask, predictions: Sequence[int | float]) -> tuple[str, str]:
    """Name and text of the file that the GLUE server takes for the predictions of a test file."""
    key = f"{task.folder}/{path.stem}"
    name = _SUBMISSIONS.get(key, task.folder)
    lines = ["index\tprediction"]
    for index, value in enumerate(predictions):
        if task.kind == "regression":
            lines.append(f"{index}\t{min(5.0, max(0.0, value)):.3f}")
        else:
            lines.append(f"{index}\t{task.labels[int(value)]}")
    return f"{name}.tsv", "\n".join(lines) + "\n"
