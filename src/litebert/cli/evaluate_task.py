"""`litebert evaluate RUN` of a fine-tuned model: its task's metrics on a labelled file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from litebert.cli.labelled_rows import labelled_rows
from litebert.cli.model_argument import open_fine_tuned
from litebert.cli.row_progress import RowProgress
from litebert.infer.prepare import Precision
from litebert.tasks.answering import answer_together
from litebert.tasks.problems import Problems


def evaluate_task(
    model: str,
    data: Path | None,
    *,
    columns: Sequence[str],
    others: Sequence[str],
    device: str,
    precision: Precision,
    as_json: bool,
) -> int:
    """Score a fine-tuned model on a file of its task, or on the development rows of its run.

    `columns` are ROLE=COLUMN pairs of a user's own file; `others` answer together with the model.
    """
    tuned, models = open_fine_tuned([model, *others], device=device, precision=precision)
    problems = Problems()
    kind, parts = tuned.kind, labelled_rows(model, tuned, data, problems, columns=columns)
    scores = {}
    for split, part in parts.items():
        units = kind.units(part.examples, tuned.tokenizer, problems)
        with RowProgress(f"evaluate {split}", len(part)) as progress:
            answers = answer_together(models, kind, units, watch=progress.share)
        scores[split] = kind.score(kind.predictions(answers, units), part.examples)
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    if as_json:
        print(json.dumps({"model": model, "task": tuned.task, "scores": scores}))
    else:
        for split, values in scores.items():
            for metric, value in values.items():
                print(f"{split} {metric}: {value:.2f}")
    return 0
