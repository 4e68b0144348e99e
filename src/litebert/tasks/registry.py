"""The tasks by name: where their files lie, what kind they are, and how they are scored.

The built-in ones read the official files; `classify`, `regress`, `multilabel`, `answer`, `choose`
and `tag` read a user's own.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.tasks.columns import Columns
from litebert.tasks.conll import read_conll
from litebert.tasks.custom import custom_dataset, read_custom
from litebert.tasks.example import Dataset, Kind
from litebert.tasks.glue import DIAGNOSTIC, DIAGNOSTIC_PLACES, GLUE, GlueTask, read_glue
from litebert.tasks.hub_datasets import is_hub_name, read_hub_rows
from litebert.tasks.problems import Problems
from litebert.tasks.race import LEVELS, level_of, read_race
from litebert.tasks.squad import read_squad
from litebert.tasks.table_files import SUFFIXES


@dataclass(frozen=True)
class Splits:
    """All that a task has: rows to learn from, rows to score, rows to answer."""

    train: Dataset
    dev: dict[str, Dataset]
    """Scored splits by name, usually one, "dev"."""
    test: dict[Path, Dataset] = field(default_factory=dict)
    """Files without labels, for submissions."""


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task that `litebert finetune` knows by name."""

    kind: Kind
    what: str
    """One line for --help."""
    read: Callable[[Path, Problems, Columns], Splits]
    read_file: Callable[[Path, Problems, Columns, tuple[str, ...], bool], Dataset]
    """One file with known labels, labelled or not: what evaluate and predict are given."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of its kind that are not the user's to choose."""
    max_length: int = 128


def _glue(name: str, task: GlueTask) -> Task:
    def read(data: Path, problems: Problems, columns: Columns) -> Splits:
        folder = data / task.folder if (data / task.folder).is_dir() else data
        dev = {}
        for split in task.dev:
            if (path := folder / f"{split}.tsv").is_file():
                dev[split] = read_glue(path, task, problems, labelled=True)
        if not dev:
            raise InputError(f"{folder}: no {task.dev[0]}.tsv: give the folder of GLUE, or of it")
        tests = [folder / f"{split}.tsv" for split in task.test]
        if name == "mnli":
            tests += [folder / DIAGNOSTIC, *(folder.parent / place for place in DIAGNOSTIC_PLACES)]
        return Splits(
            read_glue(folder / "train.tsv", task, problems, labelled=True),
            dev,
            {
                path: read_glue(path, task, problems, labelled=False, complete=True)
                for path in tests
                if path.is_file()
            },
        )

    def read_file(path: Path, problems: Problems, columns: Columns, labels, labelled: bool):
        return read_glue(path, task, problems, labelled=labelled)

    return Task(
        kind=task.kind,
        what=f"GLUE {task.folder}: {' and '.join(task.metrics)}",
        read=read,
        read_file=read_file,
        settings={"metrics": list(task.metrics)},
    )


def _squad(version: str) -> Task:
    unanswerable = version == "2.0"

    def read(data: Path, problems: Problems, columns: Columns) -> Splits:
        folder = data / f"v{version}" if (data / f"v{version}").is_dir() else data
        paths = [folder / f"{split}-v{version}.json" for split in ("train", "dev")]
        train = read_squad(paths[0], problems, unanswerable=unanswerable, learning=True)
        return Splits(train, {"dev": read_squad(paths[1], problems, unanswerable=unanswerable)})

    return Task(
        kind="span",
        what=f"SQuAD {version}: F1 and exact match",
        read=read,
        read_file=lambda path, problems, columns, labels, labelled: read_squad(
            path, problems, unanswerable=unanswerable or not labelled
        ),
        settings={"unanswerable": unanswerable},
        max_length=384,
    )


def _race(levels: tuple[str, ...]) -> Task:
    def of_levels(found: Dataset, place: Path) -> Dataset:
        if levels == LEVELS:
            return found
        kept = [example for example in found.examples if level_of(example) in levels]
        if not kept:
            raise InputError(f"{place}: no questions of the level {levels[0]}")
        return Dataset("choice", (), kept)

    def read(data: Path, problems: Problems, columns: Columns) -> Splits:
        def split(name: str, labelled: bool = True) -> Dataset:
            place = next((p for p in (data / name, data / f"{name}.jsonl") if p.exists()), None)
            if place is None:
                raise InputError(f"{data}: no {name}/ and no {name}.jsonl: give the RACE folder")
            return of_levels(read_race(place, problems, labelled=labelled), place)

        scored, tests = {"dev": split("dev")}, {}
        if (data / "test").exists() or (data / "test.jsonl").exists():
            try:  # RACE's test set has answers, and the paper scores it
                scored["test"] = split("test")
            except InputError:
                tests[data / "test"] = split("test", labelled=False)
        return Splits(split("train"), scored, tests)

    def read_file(path: Path, problems: Problems, columns: Columns, labels, labelled: bool):
        found = read_race(path, problems, labelled=labelled)
        # a file that does not tell the level of its questions was chosen for it
        return of_levels(found, path) if any(map(level_of, found.examples)) else found

    return Task(
        kind="choice",
        what=f"RACE, {' and '.join(levels)} school, or DREAM: accuracy",
        read=read,
        read_file=read_file,
        max_length=512,
    )


def _custom(kind: Kind, what: str, max_length: int = 128, **settings: Any) -> Task:
    def read(data: Path, problems: Problems, columns: Columns) -> Splits:
        if is_hub_name(str(data)):
            return _read_hub(str(data), kind, columns, problems)
        files = _files_of(data)
        train = _read_own(files["train"], kind, columns, problems, None, True)
        dev = {}
        if "dev" in files:
            dev["dev"] = _read_own(files["dev"], kind, columns, problems, train.labels, True)
        tests = {}
        if "test" in files:
            path = files["test"]
            tests[path] = _read_own(path, kind, columns, problems, train.labels, False)
        return Splits(train, dev, tests)

    def read_file(path: Path, problems: Problems, columns: Columns, labels, labelled: bool):
        return _read_own(path, kind, columns, problems, labels, labelled)

    return Task(
        kind=kind,
        what=what,
        read=read,
        read_file=read_file,
        settings=settings,
        max_length=max_length,
    )


def _read_own(
    path: Path,
    kind: Kind,
    columns: Columns,
    problems: Problems,
    labels: tuple[str, ...] | None,
    labelled: bool,
) -> Dataset:
    if kind == "tagging" and path.suffix not in SUFFIXES:
        return read_conll(path, problems, labels=labels, labelled=labelled)
    return read_custom(path, kind, columns, problems, labels=labels, labelled=labelled)


def _read_hub(source: str, kind: Kind, columns: Columns, problems: Problems) -> Splits:
    rows = read_hub_rows(source)
    parts: dict[str, Dataset] = {}
    for split, found in rows.items():
        labels = parts["train"].labels if parts else None
        labelled, where = split != "test", f"{source}, {split}"
        parts[split] = custom_dataset(found, kind, columns, problems, labels=labels,
                                      labelled=labelled, source=where)  # fmt: skip
    dev = {"dev": parts["dev"]} if "dev" in parts else {}
    tests = {Path(source): parts["test"]} if "test" in parts else {}
    return Splits(parts["train"], dev, tests)


_SPLIT_NAMES = {
    "train": ("train",),
    "dev": ("dev", "valid", "validation", "testa"),
    "test": ("test", "testb"),
}


def _files_of(data: Path) -> dict[str, Path]:
    """The files of a user's splits: one file is all training rows, a folder has them by name."""
    if data.is_file():
        return {"train": data}
    if not data.is_dir():
        raise InputError(f"{data}: no such file or folder: check the path")
    found = {}
    suffixes = (*SUFFIXES, ".conll", ".txt", ".iob", ".bio")
    for split, names in _SPLIT_NAMES.items():
        for path in sorted(data.iterdir()):
            if path.stem in names and path.suffix in suffixes:
                found.setdefault(split, path)
    if "train" not in found:
        raise InputError(f"{data}: no train.csv, .tsv, .jsonl, .parquet or .conll: name one so")
    return found


OWN: dict[str, Task] = {
    "classify": _custom("classification", "your texts or pairs, one class each"),
    "regress": _custom("regression", "your texts or pairs, a score each"),
    "multilabel": _custom("multilabel", "your texts or pairs, any number of classes each"),
    "answer": _custom(
        "span", "your questions, answered by spans of a context", 384, unanswerable=True
    ),
    "choose": _custom("choice", "your questions with options", 512),
    "tag": _custom("tagging", "your sentences, a tag a word (CoNLL columns or lists)"),
}
"""Tasks that read a user's own files, one of each kind."""

TASKS: dict[str, Task] = {
    **{name: _glue(name, task) for name, task in GLUE.items()},
    "squad-1.1": _squad("1.1"),
    "squad-2.0": _squad("2.0"),
    "race": _race(LEVELS),
    "race-middle": _race(("middle",)),
    "race-high": _race(("high",)),
    **OWN,
}


def task_of(name: str) -> Task:
    """A task by its name. Raises InputError for one that is not known."""
    if name not in TASKS:
        raise InputError(f"unknown task {name!r}: one of {', '.join(TASKS)}")
    return TASKS[name]


def own_task(kind: Kind) -> Task:
    """The task that reads a user's own files of a kind."""
    return next(task for task in OWN.values() if task.kind == kind)
