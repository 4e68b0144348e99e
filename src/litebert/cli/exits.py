"""`litebert exits`: calibrates early answers of a fine-tuned model on rows of its own."""

import json
import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from litebert.cli.example_file import columns_of, read_examples
from litebert.cli.model_argument import open_fine_tuned
from litebert.cli.row_progress import RowProgress
from litebert.cli.text_table import print_table
from litebert.errors import InputError
from litebert.infer.exits import (
    EXITS,
    Exits,
    calibrate,
    check_promise,
    head_of_classes,
    outcome,
    rows_needed,
    shares_by_layer,
)
from litebert.infer.prepare import Precision, arithmetic_of
from litebert.infer.smoothing import smoothing_of
from litebert.interop.load import model_directory, weights_of
from litebert.interop.task_models import FineTuned
from litebert.tasks.problems import Problems
from litebert.train.evaluation import wilson_interval


@dataclass(frozen=True)
class Settings:
    """Whom to calibrate, on what, and what to promise."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run fine-tuned with every_depth=true, or a directory of such a model."""
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """Rows it was not trained on, as for predict; labels are not needed. One half calibrates, the
    other shows whether the promise holds: a risk of 1 % takes 600 rows in all, and more where
    answers differ."""
    risk: float = 0.01
    """Largest share of the answers that may differ from those at full depth."""
    confidence: float = 0.95
    """Probability that the promise holds."""
    patience: int = 2
    """Layers in a row that must agree, fewer than the model has."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=COLUMN")] = ()
    """Columns of the file, as for finetune; the run's own when left out."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only)."""
    json: bool = False
    """Print one JSON object on standard output."""


def main(argv: list[str]) -> int:
    """Calibrate and write exits.json.

    Raises InputError, and writes nothing, for a model that classifies nothing and where no answer
    may be given early.
    """
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert exits",
        description="Early answers of a fine-tuned model, calibrated to a promised risk.",
    )
    place = Path(model_directory(settings.model))
    if not (place / "model.safetensors").is_file():
        raise InputError(
            f"{settings.model}: no model.safetensors here: give a local model, or save it"
        )
    tuned, _ = open_fine_tuned(
        [settings.model], device=settings.device, precision=settings.precision
    )
    shares = _shares(tuned, settings)
    # halves of a file in order may differ: classes one after another, for instance
    order = np.random.default_rng(0).permutation(shares.shape[1])
    half = len(order) // 2
    if not half:
        raise InputError(f"{settings.file}: give at least two rows")
    exits = calibrate(
        shares[:, order[:half]],
        risk=settings.risk,
        confidence=settings.confidence,
        patience=settings.patience,
    )
    if exits.mean_layers == len(shares):
        there = " stays as it was" if (place / EXITS).is_file() else " is not written"
        raise InputError(f"{settings.file}: {_why_none(exits, len(order))}; {place / EXITS}{there}")
    precision = arithmetic_of(tuned.model.encoder)
    exits = replace(
        exits,
        precision=precision,
        weights=weights_of(place),
        smoothing=smoothing_of(place) if precision == "int8" else None,
    )
    exits.save(place)
    measured = _measured(exits, shares[:, order[half:]])
    if settings.json:
        print(json.dumps({"exits": asdict(exits), "other_half": measured}))
        return 0
    low, high = measured["interval"]
    print_table(
        [
            ("", "calibrated on", "checked on"),
            ("rows", f"{exits.rows:,}", f"{measured['rows']:,}"),
            (
                f"answers that differ (promised: at most {exits.risk:.2%})",
                f"{exits.disagreement:.2%}",
                f"{measured['disagreement']:.2%} [{low:.2%}, {high:.2%}]",
            ),
            (
                f"layers, of {len(shares)}",
                f"{exits.mean_layers:.2f}",
                f"{measured['mean_layers']:.2f}",
            ),
        ]
    )
    return 0


def _shares(tuned: FineTuned, settings: Settings) -> np.ndarray:
    """Probabilities after every layer for every row of the file: (L, N, C)."""
    # said before a file is read
    head_of_classes(tuned)
    check_promise(
        risk=settings.risk,
        confidence=settings.confidence,
        patience=settings.patience,
        layers=len(tuned.model.encoder.layers()),
    )
    problems = Problems()
    columns = columns_of(settings.model, settings.columns)
    examples: Any = read_examples(Path(settings.file), tuned, columns, problems)
    units = tuned.kind.units(examples, tuned.tokenizer, problems)
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    with RowProgress("exits", len(units)) as progress:
        return shares_by_layer(tuned, units, watch=progress.share)


def _why_none(exits: Exits, rows: int) -> str:
    """Why no answer may be given early, and what to do."""
    needed = rows_needed(risk=exits.risk, confidence=exits.confidence)
    promise = f"--risk {exits.risk:g} at --confidence {exits.confidence:g}"
    why = f"{promise} takes at least {needed:,} that do, {2 * needed:,} in all"
    if exits.rows >= needed:
        why = (
            "by them no answer may be given early: none is sure in time, or too many would differ "
            f"({why}, and more where answers differ)"
        )
    return (
        f"{exits.rows:,} of the {rows:,} rows calibrate, and {why}: give more rows or a larger "
        "--risk, or fine-tune with every_depth=true"
    )


def _measured(exits: Exits, shares: np.ndarray) -> dict[str, Any]:
    wrong, layers = outcome(shares, patience=exits.patience, margin=exits.margin)
    rows = shares.shape[1]
    return {
        "rows": rows,
        "disagreement": wrong / rows,
        "interval": wilson_interval(wrong, rows),
        "mean_layers": layers,
    }
