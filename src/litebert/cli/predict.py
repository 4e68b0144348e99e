"""`litebert predict`: answers of a fine-tuned model, one JSON line a row."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from litebert.cli.example_file import columns_of, official_examples
from litebert.cli.model_argument import open_fine_tuned
from litebert.infer.predict import predict, predict_rows
from litebert.infer.prepare import Precision
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import read_json_lines, read_rows


@dataclass(frozen=True)
class Settings:
    """What to ask, and whom."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A fine-tuning run, or a directory or hub id of a fine-tuned model."""
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """CSV, TSV, JSONL or Parquet with your columns, an official file of the task, or - for JSON
    lines on standard input."""
    others: Annotated[tuple[str, ...], tyro.conf.arg(name="with", metavar="RUN")] = ()
    """Further models of the task that answer together with the first: probabilities, and scores
    of spans, are averaged. The seeds of a run are RUN/seed-0, RUN/seed-1, ..."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=COLUMN")] = ()
    """Columns of the file, as for finetune; the run's own when left out."""
    strict: bool = False
    """Stop at the first row that cannot be answered, instead of leaving such out."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only)."""


def main(argv: list[str]) -> int:
    """Answer the rows of a file; raises InputError for a model without a task."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert predict",
        description="Answers of a fine-tuned model as JSON lines, labels by name.",
    )
    names = [settings.model, *settings.others]
    tuned, models = open_fine_tuned(names, device=settings.device, precision=settings.precision)
    columns = columns_of(settings.model, settings.columns)
    problems = Problems(strict=settings.strict)
    if settings.file == "-":
        rows = read_json_lines(sys.stdin.buffer, "standard input", problems)
        # a person, or a program that waits for each answer
        lines = predict_rows(tuned, rows, columns, problems, models=models, chunk_rows=1)
    elif (examples := official_examples(Path(settings.file), tuned, columns, problems)) is not None:
        lines = predict(tuned, examples, problems, models=models)
    else:
        rows = read_rows(Path(settings.file), problems)
        lines = predict_rows(tuned, rows, columns, problems, models=models)
    for line in lines:
        text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
        print(text, flush=settings.file == "-")
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    return 0
