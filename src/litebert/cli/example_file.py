"""A file of examples that a user gives to a fine-tuned model, read with the columns of its run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.interop.task_models import FineTuned
from litebert.tasks.columns import Columns
from litebert.tasks.custom import examples_of
from litebert.tasks.glue import GLUE, has_columns_of
from litebert.tasks.problems import Problems
from litebert.tasks.registry import TASKS
from litebert.tasks.table_files import SUFFIXES, read_rows


def read_examples(
    path: Path, tuned: FineTuned, columns: Columns, problems: Problems
) -> Sequence[Any]:
    """All examples of a file that a model can answer: an official one, or a user's own table.

    Raises InputError for a file that is neither.
    """
    examples = official_examples(path, tuned, columns, problems)
    if examples is not None:
        return examples
    kind, rows = tuned.kind, read_rows(path, problems)
    return list(examples_of(rows, kind.kind, columns, problems, labels=kind.labels, labelled=False))


def official_examples(
    path: Path, tuned: FineTuned, columns: Columns, problems: Problems
) -> Sequence[Any] | None:
    """The examples of an official file of the model's task; None for a user's own table.

    Raises InputError for a file that is neither.
    """
    if path.suffix in SUFFIXES and not is_official(path, tuned.task):
        return None
    if tuned.task not in TASKS:
        raise InputError(f"{path}: not one of {', '.join(SUFFIXES)}: convert it, or rename it")
    read = TASKS[tuned.task].read_file
    return read(path, problems, columns, tuned.kind.labels, False).examples


def columns_of(model: str, pairs: Sequence[str]) -> Columns:
    """The columns a run was made with, changed by ROLE=COLUMN pairs."""
    described = task_file(model)
    own = json.loads(described.read_text())["columns"] if described else {}
    return Columns(**own).changed(pairs)


def task_file(model: str) -> Path | None:
    """task.json of a run, also for one of its seeds."""
    places = (Path(model) / "task.json", Path(model).parent / "task.json")
    return next((place for place in places if place.is_file()), None)


def is_official(path: Path, task: str) -> bool:
    """Whether a file is one of the task's own, by its suffix, and its columns in GLUE."""
    if task in GLUE:
        return path.suffix == ".tsv" and has_columns_of(path, GLUE[task])
    if task.startswith("race"):
        return path.suffix == ".jsonl"
    return task in ("squad-1.1", "squad-2.0", "answer") and path.suffix == ".json"
