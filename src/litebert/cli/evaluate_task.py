"""`litebert evaluate RUN` of a fine-tuned model: its task's metrics on a labelled file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from litebert.cli.example_file import columns_of, task_file
from litebert.cli.model_argument import open_fine_tuned
from litebert.errors import InputError
from litebert.hardware import Precision
from litebert.tasks.answering import answer_together
from litebert.tasks.problems import Problems
from litebert.tasks.registry import TASKS, own_task
from litebert.tasks.selection import with_dev


def evaluate_task(
    model: str,
    data: Path | None,
    *,
    others: Sequence[str],
    device: str,
    precision: Precision,
    as_json: bool,
) -> int:
    """Score a fine-tuned model on a file of its task, or on the development rows of its run.

    `others` are models that answer together with it.
    """
    tuned, models = open_fine_tuned([model, *others], device=device, precision=precision)
    task = TASKS.get(tuned.task) or own_task(tuned.kind.kind)
    problems, columns = Problems(), columns_of(model, ())
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
    scores = {}
    for split, part in parts.items():
        units = tuned.kind.units(part.examples, tuned.tokenizer, problems)
        predictions = tuned.kind.predictions(answer_together(models, tuned.kind, units), units)
        scores[split] = tuned.kind.score(predictions, part.examples)
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"model": model, "task": tuned.task, "scores": scores}))
    else:
        for split, values in scores.items():
            for metric, value in values.items():
                print(f"{split} {metric}: {value:.2f}")
    return 0
