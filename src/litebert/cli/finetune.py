"""`litebert finetune`: teach a model a task and score it."""

import itertools
import json
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import tyro

from litebert.cli.recipe_arguments import split_overrides
from litebert.cli.task_progress import TaskProgress, score_table
from litebert.errors import InputError
from litebert.runs.finetuning import FinetuneSettings, finetune
from litebert.tasks.columns import ROLES, Columns
from litebert.tasks.registry import TASKS
from litebert.train.finetune_recipe import FinetuneRecipe, read_finetune_recipe

DESCRIPTION = """Fine-tune a model on a task, and score it on the development rows.

    litebert finetune mrpc --model runs/mini --data glue --output runs/mrpc lr=1e-3 --seeds 5
    litebert finetune classify --model runs/mini --data reviews.csv --output runs/reviews

Tasks:

{tasks}

A user's own data is one CSV, TSV, JSONL or Parquet file, or a folder with train, dev and test files
(CoNLL columns for tag). --columns says which column holds what, where names differ:
--columns text=review label=stars."""


@dataclass(frozen=True, kw_only=True)
class Arguments(FinetuneSettings):
    """What is not part of the recipe."""

    task: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="TASK")]
    """One of the tasks above."""
    model: Annotated[str, tyro.conf.arg(metavar="MODEL")]
    """The model to begin with: a run, a Hugging Face directory or hub id, a TensorFlow
    checkpoint, or a model fine-tuned on another task."""
    data: Annotated[Path, tyro.conf.arg(metavar="PATH")]
    """The folder of the official files, your own file or folder, or hf:NAME[:CONFIG] for a data
    set of the Hugging Face hub."""
    recipe: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """YAML file with fields of the recipe; recipes/finetune/paper.yaml has the paper's."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=COLUMN")] = ()
    """Columns of your own file: text, second, label, question, context, answer, answer_start,
    options, words, tags, id."""
    json: bool = False
    """Print one JSON object with the result on standard output."""

    def __post_init__(self) -> None:
        """Left to FinetuneSettings in `main`: a message raised under tyro is not one line."""


@dataclass(frozen=True, kw_only=True)
class _Everything(FinetuneRecipe, Arguments):
    """All fields in one place, for --help."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    tasks = "\n".join(f"    {name:<12} {task.what}" for name, task in TASKS.items())
    description = DESCRIPTION.format(tasks=tasks)
    if "--help" in argv or "-h" in argv:
        example = _Everything(task="TASK", model="MODEL", data=Path("DATA"), output=Path("RUN"))
        tyro.cli(_Everything, args=["--help"], prog="litebert finetune", description=description,
                 default=example)  # fmt: skip
    columns, left = _take_columns(argv)
    overrides, rest = split_overrides(left, FinetuneRecipe)
    arguments = tyro.cli(Arguments, args=rest, prog="litebert finetune", description=description)
    recipe = read_finetune_recipe(arguments.recipe, overrides, task=arguments.task)
    names = [field.name for field in fields(FinetuneSettings)]
    settings = FinetuneSettings(**{name: getattr(arguments, name) for name in names})
    with TaskProgress(arguments.task) as progress:
        result = finetune(
            arguments.task,
            model=arguments.model,
            data=arguments.data,
            recipe=recipe,
            settings=settings,
            columns=columns,
            watch=progress.watch,
        )
    if result.stop_signal is not None:
        print("stopped; the same command goes on from the last evaluation", file=sys.stderr)
        return 128 + result.stop_signal
    if arguments.json:
        print(json.dumps(result.asdict()))
    else:
        for note in result.notes:
            print(f"note: {note}")
        print(score_table(result.scores))
        print(f"model: {result.output / 'model'}\nreport: {result.output / 'report.html'}")
    return 0


def _two_words(word: str) -> list[str]:
    """--columns=ROLE=COLUMN as two words."""
    head, _, tail = word.partition("=")
    return [head, tail] if head == "--columns" and tail else [word]


def _take_columns(argv: list[str]) -> tuple[Columns, list[str]]:
    """The roles after --columns, and the other arguments."""
    argv = [part for word in argv for part in _two_words(word)]
    if "--columns" not in argv:
        return Columns(), argv
    at = argv.index("--columns")
    pairs = list(itertools.takewhile(_names_a_role, argv[at + 1 :]))
    if not pairs:
        raise InputError(f"--columns needs ROLE=COLUMN; roles: {', '.join(ROLES)}")
    return Columns().changed(pairs), [*argv[:at], *argv[at + 1 + len(pairs) :]]


def _names_a_role(word: str) -> bool:
    """Whether a word is ROLE=COLUMN; other pairs are fields of the recipe."""
    return word.partition("=")[0] in ROLES and "=" in word
