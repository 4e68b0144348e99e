"""Labelled rows that a fine-tuned model is scored on: a file, a folder, or those of its own run."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from litebert.cli.example_file import columns_of, is_official, task_file
from litebert.errors import InputError
from litebert.interop.task_models import FineTuned
from litebert.tasks.example import Dataset
from litebert.tasks.problems import Problems
from litebert.tasks.registry import TASKS, own_task
from litebert.tasks.selection import with_dev
from litebert.tasks.table_files import SUFFIXES


def labelled_rows(
    model: str,
    tuned: FineTuned,
    data: Path | None,
    problems: Problems,
    *,
    columns: Sequence[str] = (),
) -> dict[str, Dataset]:
    """By their name, the rows of `data`, or the development rows of the run that `model` is.

    `columns` are ROLE=COLUMN pairs for a user's own file. Raises InputError without any rows, and
    for labels that are not the model's.
    """
    own, roles = own_task(tuned.kind.kind), columns_of(model, columns)
    task = TASKS.get(tuned.task) or own
    if data is None:
        described = task_file(model)
        if described is None:
            raise InputError(f"{model}: no data given: add --data FILE with labels")
        source = Path(json.loads(described.read_text())["data"])
        splits, notes = with_dev(task.read(source, problems, roles))
        parts = splits.dev
        for note in notes:
            print(note, file=sys.stderr)
    elif data.is_dir():
        parts = task.read(data, problems, roles).dev
    else:
        reader = own if data.suffix in SUFFIXES and not is_official(data, tuned.task) else task
        parts = {data.stem: reader.read_file(data, problems, roles, tuned.kind.labels, True)}
    for split, part in parts.items():
        if part.labels != tuned.kind.labels:
            raise InputError(
                f"{split}: its labels {', '.join(part.labels)} are not the model's, "
                f"{', '.join(tuned.kind.labels)}: give the file itself, --data FILE"
            )
    return parts
