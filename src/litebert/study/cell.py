"""A cell: one run of a study, described on disk so that any process on any machine can do it.

    STUDY/ladder.json
    STUDY/cells/NAME/cell.json run/ result.json

A cell is done when result.json is there; one that was killed goes on from its run's checkpoint.
"""

import json
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.files import write_atomically


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


def claim(study: Path, cell: Cell) -> None:
    """Describe a cell on disk, or find that it is described already in the same words.

    Raises InputError when its directory was begun for something else.
    """
    described = (json.dumps(asdict(cell), indent=2) + "\n").encode()
    place = cell_directory(study, cell.name) / "cell.json"
    if place.is_file() and place.read_bytes() != described:
        raise InputError(f"{place.parent} was begun with other settings: choose another --output")
    write_atomically(place, described)


def read_cell(study: Path, name: str) -> Cell:
    """The cell that `claim` described."""
    values = json.loads((cell_directory(study, name) / "cell.json").read_text("utf-8"))
    return Cell(**{**values, "shape": ModelConfig(**values["shape"])})


def read_result(study: Path, name: str) -> dict[str, Any] | None:
    """What a cell ended with; None while it is not done."""
    place = cell_directory(study, name) / "result.json"
    return json.loads(place.read_text("utf-8")) if place.is_file() else None
