"""Labelled rows that a fine-tuned model is scored on: a file, a folder, or those of its own run."""

import json
import sys
from pathlib import Path

from litebert.cli.example_file import columns_of, task_file
from litebert.errors import InputError
from litebert.interop.task_models import FineTuned
from litebert.tasks.example import Dataset
from litebert.tasks.problems import Problems
from litebert.tasks.registry import TASKS, own_task
from litebert.tasks.selection import with_dev


def labelled_rows(
    model: str, tuned: FineTuned, data: Path | None, problems: Problems
) -> dict[str, Dataset]:
    """By their name, the rows of `data`, or the development rows of the run that `model` is.

    Raises InputError without any, and for labels that are not the model's.
    """
    task, columns = TASKS.get(tuned.task) or own_task(tuned.kind.kind), columns_of(model, ())
    if data is None:
        described = task_file(model)
        if described is None:
            raise InputError(f"{model}: no data given: add --data FILE with labels")
        source = Path(json.loads(described.read_text())["data"])
        splits, notes = with_dev(task.read(source, problems, columns))
        parts = splits.dev
        for note in notes:
            print(note, file=sys.stderr)
    elif data.is_dir():
        parts = task.read(data, problems, columns).dev
    else:
        parts = {data.stem: task.read_file(data, problems, columns, tuned.kind.labels, True)}
    for split, part in parts.items():
        if part.labels != tuned.kind.labels:
            raise InputError(
                f"{split}: its labels {', '.join(part.labels)} are not the model's, "
                f"{', '.join(tuned.kind.labels)}: give the file itself, --data FILE"
            )
    return parts
