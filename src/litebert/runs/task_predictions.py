"""Predictions of a fine-tuned model as files: a JSON line a row, and what SQuAD's scorer reads."""

import json
from collections.abc import Sequence
from pathlib import Path

from litebert.files import write_atomically
from litebert.tasks.kinds import TaskKind
from litebert.tasks.naming import named
from litebert.tasks.spans import Spans
from litebert.tasks.squad import to_json


def write_predictions(
    directory: Path, split: str, kind: TaskKind, predictions: Sequence, examples: Sequence
) -> None:
    """Write `split`.jsonl, and for questions about contexts predictions.json and null_odds.json."""
    lines = (json.dumps(line, ensure_ascii=False) for line in named(kind, predictions, examples))
    write_atomically(
        directory / f"{split}.jsonl", ("\n".join(lines) + "\n").encode("utf-8", "replace")
    )
    if isinstance(kind, Spans):
        texts = kind.texts(predictions, examples)
        by_id = {e.id: text for e, text in zip(examples, texts, strict=True)}
        write_atomically(directory / f"{split}-predictions.json", to_json(by_id))
        if kind.unanswerable:
            odds = {e.id: p.null for e, p in zip(examples, predictions, strict=True)}
            write_atomically(directory / f"{split}-null_odds.json", to_json(odds))
