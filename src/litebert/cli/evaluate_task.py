"""`litebert evaluate RUN` of a fine-tuned model: its task's metrics on a labelled file."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from litebert.cli.labelled_rows import labelled_rows
from litebert.cli.model_argument import open_fine_tuned
from litebert.infer.prepare import Precision
from litebert.tasks.answering import answer_together
from litebert.tasks.problems import Problems


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
    problems = Problems()
    parts = labelled_rows(model, tuned, data, problems)
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
