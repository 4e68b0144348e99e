"""A cell: one run of a study, described on disk so that any process on any machine can do it.

    STUDY/ladder.json
    STUDY/cells/NAME/cell.json run/ result.json

A cell is done when result.json is there; one that was killed goes on from its run's checkpoint.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.train.recipe_file import differences

LADDER, RESULT = "ladder.json", "result.json"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """What one run is: a variant of the study, a seed, and everything that decides its result."""

    variant: str
    """What varies, in words: "attention shared, E = 64"."""
    seed: int
    shape: ModelConfig
    """The model; its vocabulary is that of the corpus."""
    recipe: dict[str, Any]
    """Fields of the pretraining recipe, but for model and seed."""
    rates: float = 1.0
    """Factor on the recipe's learning rates."""
    starts_from: str | None = None
    """Name of the cell whose weights this one begins with."""
    stage: int = 0
    """How many cells that one goes on from, itself included: each stage draws other text."""
    sweep: bool = False
    """Whether it only helps to choose the rates."""

    @property
    def name(self) -> str:
        """The name of its directory."""
        words = re.sub(r"[^a-z0-9.]+", "-", self.variant.lower()).strip("-")
        kind = f"sweep-{self.rates:g}" if self.sweep else "seed"
        return f"{words}-{kind}-{self.seed}"


def cell_directory(study: Path, name: str) -> Path:
    """Where a cell of a study lies."""
    return study / "cells" / name


def describe(place: Path, values: dict[str, Any]) -> None:
    """Write what a directory is for, or find that it says so already.

    Raises InputError, naming the difference, when it was begun for something else.
    """
    content = as_json(values)
    if place.is_file() and place.read_bytes() != content:
        differs = differences(place.read_text("utf-8"), content.decode())
        raise InputError(
            f"{place.parent} was begun with other settings ({differs}): choose another --output"
        )
    write_atomically(place, content)


def describe_cell(study: Path, cell: Cell) -> None:
    """Write cell.json; raises InputError when its directory was begun for another cell."""
    describe(cell_directory(study, cell.name) / "cell.json", asdict(cell))


def read_cell(study: Path, name: str) -> Cell:
    """The cell that `describe_cell` described."""
    values = json.loads((cell_directory(study, name) / "cell.json").read_text("utf-8"))
    return Cell(**{**values, "shape": ModelConfig(**values["shape"])})


def take_result(study: Path, cell: Cell, others: Sequence[Path]) -> None:
    """Take the result of a cell from another study that has done the same run, whatever its name.

    Raises InputError for a study of other text or one that asks its models something else: no run
    there can be the same.
    """
    asked = (study / LADDER).read_text("utf-8")
    for other in others:
        if read_result(study, cell.name) is not None:
            return
        if differs := differences((other / LADDER).read_text("utf-8"), asked):
            raise InputError(
                f"--reuse {other}: another text or other questions ({differs}); --data "
                f"{other}/corpus takes its text"
            )
        for place in sorted((other / "cells").iterdir()):
            result = read_result(other, place.name)
            if result is None:
                continue
            if replace(read_cell(other, place.name), variant=cell.variant) == _read(cell):
                taken = {"variant": cell.variant, "taken_from": other.name}
                write_result(study, cell.name, result | taken)


def _read(cell: Cell) -> Cell:
    """A cell as it reads back: lists for tuples."""
    return replace(cell, recipe=json.loads(json.dumps(cell.recipe)))


def write_result(study: Path, name: str, result: dict[str, Any]) -> dict[str, Any]:
    """Write what a cell ended with: from then on it is done."""
    write_atomically(cell_directory(study, name) / RESULT, as_json(result))
    return result


def read_result(study: Path, name: str) -> dict[str, Any] | None:
    """What a cell ended with; None while it is not done."""
    place = cell_directory(study, name) / RESULT
    return json.loads(place.read_text("utf-8")) if place.is_file() else None
