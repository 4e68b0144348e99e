"""`litebert pretrain`: train a model on prepared shards by a recipe."""

import dataclasses
import json
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import tyro

from litebert.cli.progress import RunProgress, evaluation_line
from litebert.cli.recipe_arguments import split_overrides
from litebert.errors import InputError
from litebert.runs.pretraining import pretrain
from litebert.train.copies import copies_of
from litebert.train.distributed import is_first_rank, started_by_torchrun
from litebert.train.launch import launch
from litebert.train.recipe import PretrainRecipe, RunSettings, read_recipe

DESCRIPTION = """Pretrain a model on shards made by `litebert prepare`.

Fields come from --recipe FILE, from field=value, and from flags, later ones winning:

    litebert pretrain --recipe recipes/mini.yaml data=shards/train --output runs/mini minutes=60

Ctrl-C finishes the step, saves, and says how to go on."""


@dataclass(frozen=True, kw_only=True)
class Arguments(RunSettings):
    """What is not part of the recipe."""

    recipe: Path | None = None
    """YAML file with the fields of the recipe."""
    devices: int = 1
    """Processes on this machine, one a GPU, that share the batches of a step (accumulation)."""
    max_restarts: int = 0
    """With several devices: how often a lost process restarts them all from the newest
    checkpoint."""
    json: bool = False
    """Print one JSON object with the result on standard output."""

    def __post_init__(self) -> None:
        """Left to RunSettings in `main`: a message raised under tyro is not one line."""


@dataclass(frozen=True, kw_only=True)
class _Everything(PretrainRecipe, Arguments):
    """All fields in one place, for --help."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    if "--help" in argv or "-h" in argv:
        example = _Everything(data=Path("SHARDS"), output=Path("RUN"), minutes=60.0)
        tyro.cli(_Everything, args=["--help"], prog="litebert pretrain", description=DESCRIPTION,
                 default=example)  # fmt: skip
    overrides, rest = split_overrides(argv, PretrainRecipe)
    arguments = tyro.cli(Arguments, args=rest, prog="litebert pretrain", description=DESCRIPTION)
    copies = copies_of(arguments)
    if arguments.resume and copies is not None and is_first_rank():
        copies.bring_back(lambda message: print(f"warning: {message}", file=sys.stderr))
    recipe_file = arguments.recipe
    if recipe_file is None and arguments.resume and not overrides:
        recipe_file = arguments.output / "recipe.yaml"
    recipe = read_recipe(recipe_file, overrides)
    names = [field.name for field in dataclasses.fields(RunSettings)]
    settings = RunSettings(**{name: getattr(arguments, name) for name in names})
    if arguments.devices > 1 and not started_by_torchrun():
        return launch(
            ["pretrain", *argv], devices=arguments.devices, restarts=arguments.max_restarts
        )
    if not is_first_rank():
        return _follow(recipe, settings)
    with RunProgress(recipe.model) as progress:
        result = pretrain(recipe, settings, watch=progress.watch)
    if result.stop_signal is not None:
        print(
            f"stopped and saved at step {result.step}; go on with: "
            f"litebert pretrain --output {settings.output} --resume",
            file=sys.stderr,
        )
        return 128 + result.stop_signal
    if arguments.json:
        print(json.dumps(result.asdict()))
    else:
        if result.evaluation is not None:
            print(f"held out: {evaluation_line(result.evaluation.asdict())}")
        print(f"model: {result.model_directory}\nreport: {result.report}")
    return 0


def _follow(recipe: PretrainRecipe, settings: RunSettings) -> int:
    """A rank that shows nothing; it tells of a fault only if the first rank does not."""
    try:
        result = pretrain(recipe, settings)
    except InputError:
        time.sleep(2)  # the launcher ends this process at once when the first rank has failed
        raise
    return 0 if result.stop_signal is None else 128 + result.stop_signal
