"""`litebert predict`: answers of a fine-tuned model, one JSON line a row."""

import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import tyro

from litebert.cli.example_file import columns_of, official_examples
from litebert.cli.model_argument import open_fine_tuned
from litebert.cli.row_progress import RowProgress
from litebert.errors import InputError
from litebert.infer.early import EarlyAnswers
from litebert.infer.exits import Exits
from litebert.infer.predict import CHUNK, predict_stream
from litebert.infer.prepare import Precision
from litebert.interop.load import model_directory
from litebert.interop.task_models import FineTuned
from litebert.tasks.custom import examples_of
from litebert.tasks.example import Example
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import most_rows, read_json_lines, read_rows


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
    depth: int | None = None
    """Layers to run, of a model that shares them all; its own number when left out."""
    early: bool = False
    """Answer as soon as the model is sure, as litebert exits calibrated it; lines then say after
    how many layers."""
    strict: bool = False
    """Stop at the first row that cannot be answered, instead of leaving such out."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only). Early answers take the one they were calibrated in."""


def main(argv: list[str]) -> int:
    """Answer the rows of a file; raises InputError for a model without a task."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert predict",
        description="Answers of a fine-tuned model as JSON lines, labels by name.",
    )
    if settings.early and (settings.depth is not None or settings.others):
        raise InputError("--early excludes --depth and --with: give one")
    place, precision = model_directory(settings.model), settings.precision
    if settings.early and precision == "auto":
        precision = cast("Precision", Exits.read(place).precision)
    names = [settings.model, *settings.others]
    tuned, models = open_fine_tuned(names, device=settings.device, precision=precision)
    problems = Problems(strict=settings.strict)
    examples, total = _examples(settings, tuned, problems)
    lines = predict_stream(
        tuned,
        examples,
        problems,
        models=models,
        depth=settings.depth,
        early=EarlyAnswers(tuned, place) if settings.early else None,
        # a person, or a program that waits for each answer
        chunk=1 if settings.file == "-" else CHUNK,
    )
    with RowProgress("predict", total, to_terminal=True) as progress:
        for line in progress.counted(lines):
            text = json.dumps(line, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")
            print(text, flush=settings.file == "-")
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    if not progress.count:
        raise InputError(f"{settings.file}: no row of it can be answered")
    return 0


def _examples(
    settings: Settings, tuned: FineTuned, problems: Problems
) -> tuple[Iterable[Example], int | None]:
    """What is asked, and how many of it there are at most, where that is known."""
    kind, columns = tuned.kind, columns_of(settings.model, settings.columns)
    if settings.file == "-":
        rows, total = read_json_lines(sys.stdin.buffer, "standard input", problems), None
    else:
        path = Path(settings.file)
        official = official_examples(path, tuned, columns, problems)
        if official is not None:
            return official, len(official)
        rows = read_rows(path, problems)
        total = most_rows(path)
    found = examples_of(rows, kind.kind, columns, problems, labels=kind.labels, labelled=False)
    return found, total
