"""`litebert predict`: answers of a fine-tuned model, one JSON line a row."""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from litebert.errors import InputError
from litebert.infer.predict import predict, predict_rows
from litebert.interop.task_models import load_ensemble
from litebert.tasks.columns import Columns
from litebert.tasks.problems import Problems
from litebert.tasks.registry import TASKS
from litebert.tasks.table_files import SUFFIXES, Row, read_rows


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


def main(argv: list[str]) -> int:
    """Answer the rows of a file; raises InputError for a model without a task."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert predict",
        description="Answers of a fine-tuned model as JSON lines, labels by name.",
    )
    tuned, models = load_ensemble([settings.model, *settings.others])
    columns = columns_of(settings.model, settings.columns)
    problems = Problems(strict=settings.strict)
    path = Path(settings.file)
    if settings.file == "-":
        lines = predict_rows(tuned, _standard_input(problems), columns, problems, models=models)
    elif path.suffix not in SUFFIXES or _is_official(path, tuned.task):
        if tuned.task not in TASKS:
            raise InputError(f"{path}: not one of {', '.join(SUFFIXES)}")
        read = TASKS[tuned.task].read_file
        data = read(path, problems, columns, tuned.kind.labels, False)
        lines = predict(tuned, data.examples, problems, models=models)
    else:
        lines = predict_rows(tuned, read_rows(path, problems), columns, problems, models=models)
    for line in lines:
        print(json.dumps(line, ensure_ascii=False), flush=settings.file == "-")
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    return 0


def columns_of(model: str, pairs: Sequence[str]) -> Columns:
    """The columns a run was made with, changed by ROLE=COLUMN pairs."""
    described = Path(model) / "task.json"
    own = json.loads(described.read_text())["columns"] if described.is_file() else {}
    known = {field.name for field in fields(Columns)}
    for pair in pairs:
        role, _, column = pair.partition("=")
        if role not in known:
            raise InputError(f"--columns {pair}: roles are {', '.join(sorted(known))}")
        own[role] = column
    return Columns(**own)


def _is_official(path: Path, task: str) -> bool:
    """SQuAD's JSON is one object; RACE's and GLUE's files look like a user's, but are named so."""
    return task in ("squad-1.1", "squad-2.0", "answer") and path.suffix == ".json"


def _standard_input(problems: Problems) -> Iterator[Row]:
    for number, line in enumerate(sys.stdin.buffer, 1):
        place = f"standard input:{number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode("utf-8"))
        except ValueError as error:
            problems.report(place, "broken JSON", found=str(error), done="left out")
            continue
        if not isinstance(values, dict):
            problems.report(place, "JSON that is no object", found=values, done="left out")
            continue
        yield place, values
