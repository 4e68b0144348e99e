"""`litebert quantize`: what int8 does to a model, by depth and in the metrics of its task."""

import copy
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import tyro

from litebert.cli.labelled_rows import labelled_rows
from litebert.cli.row_progress import RowProgress
from litebert.cli.text_lines import file_lines
from litebert.cli.text_table import print_table
from litebert.errors import InputError
from litebert.infer.prepare import prepare
from litebert.infer.smoothing import (
    SMOOTHING,
    calibrate_smoothing,
    errors_by_depth,
    save_smoothing,
)
from litebert.interop.load import SENTENCE_WEIGHTS, load, model_directory, tokenizer_of
from litebert.interop.task_models import is_task_model, load_task_model
from litebert.model.packed import PackedBatch
from litebert.tasks.answering import BATCH_TOKENS, answer_together
from litebert.tasks.problems import Problems
from litebert.tasks.units import TokenSequence, batches_by_length, packed_of, sequence_of

# Sequences that smoothing is calibrated on, and so many others that show the error.
SEQUENCES = 256
# The share of the plain error that smoothing must take away to be kept.
WORTHWHILE = 0.1


@dataclass(frozen=True)
class Settings:
    """Which models, and on what."""

    models: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """Runs or directories; of several, the seeds of a run for instance, medians are given too."""
    data: Path | None = None
    """Fine-tuned: labelled rows, as for evaluate; the development rows of the run when left out.
    Pretrained: a file with a text a line."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=COLUMN")] = ()
    """Columns of your own file of labelled rows, as for finetune; the run's own when left out."""
    json: bool = False
    """Print one JSON object on standard output."""


def main(argv: list[str]) -> int:
    """Report on models one after another, and leave smoothing beside those that gain by it."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert quantize",
        description=(
            "What int8 does to a model: the error of its hidden states after every layer, and the "
            "metrics of its task before and after. Where inputs smoothed over all depths lower the "
            f"error, {SMOOTHING} is left in the model's directory, and precision=int8 takes it."
        ),
    )
    if not settings.models:
        raise InputError("no model given: litebert quantize RUN ...")
    reports = [_report(name, settings) for name in settings.models]
    changes = _changes(reports)
    if settings.json:
        print(json.dumps({"models": reports, "median_change": changes}))
        return 0
    for report in reports:
        _show(report)
    if len(reports) > 1 and changes:
        rows = [(metric, f"{value:+.2f}") for metric, value in changes.items()]
        print_table([(f"{len(reports)} models", "median change"), *rows])
    return 0


def _report(name: str, settings: Settings) -> dict[str, Any]:
    place = Path(model_directory(name))
    if not (place / "model.safetensors").is_file():
        raise InputError(f"{name}: no model.safetensors here: give a local model, or save it")
    scored: dict[str, Any] = {}
    problems = Problems()
    tuned = load_task_model(name) if is_task_model(name) else None
    if tuned is not None:
        parts = labelled_rows(name, tuned, settings.data, problems, columns=settings.columns)
        for split, part in parts.items():
            scored[split] = part, tuned.kind.units(part.examples, tuned.tokenizer, problems)
        units = [unit for _, found in scored.values() for unit in found]
        sequences = [sequence for unit in units for sequence in unit.sequences]
        model = tuned.model.encoder.eval()
    else:
        model = load(name, allow=SENTENCE_WEIGHTS).eval()
        sequences = _lines(name, settings.data, room=model.config.max_positions)
    for line in problems.lines():
        print(f"warning: {line}", file=sys.stderr)
    if len(sequences) < 2:
        raise InputError(f"{name}: give at least two texts: one half calibrates, one shows")
    # halves of a file in order may differ
    order = np.random.default_rng(0).permutation(len(sequences))[: 2 * SEQUENCES]
    half = len(order) // 2
    calibration, others = (
        _batches([sequences[number] for number in part]) for part in (order[:half], order[half:])
    )
    total = len(calibration) + 2 * len(others)
    with RowProgress(f"{name}: error by depth", total, of="batches") as progress:
        smoothing = calibrate_smoothing(model, progress.counted(calibration))
        exact = prepare(copy.deepcopy(model), "fp32")
        plain, smoothed = (
            prepare(copy.deepcopy(model), "int8", smoothing=how) for how in ({}, smoothing)
        )
        errors = {
            "plain": errors_by_depth(exact, plain, progress.counted(others)),
            "smoothed": errors_by_depth(exact, smoothed, progress.counted(others)),
        }
    smooth = errors["smoothed"][-1] < (1 - WORTHWHILE) * errors["plain"][-1]
    if smooth:
        save_smoothing(smoothing, place)
    else:
        (place / SMOOTHING).unlink(missing_ok=True)
    report: dict[str, Any] = {"model": name, "errors": errors, "smoothed": smooth, "scores": {}}
    for split, (part, units) in scored.items():
        assert tuned is not None
        report["scores"][split] = {}
        for how, encoder in (("fp32", exact), ("int8", smoothed if smooth else plain)):
            tuned.model.encoder = encoder
            with RowProgress(f"{name}: {split} in {how}", len(part)) as progress:
                answers = answer_together([tuned.model], tuned.kind, units, watch=progress.share)
            scores = tuned.kind.score(tuned.kind.predictions(answers, units), part.examples)
            report["scores"][split][how] = scores
    return report


def _lines(name: str, data: Path | None, *, room: int) -> list[TokenSequence]:
    if data is None:
        raise InputError(f"{name} has no task: add --data FILE with a text a line")
    texts = [line for line in file_lines(data) if line.strip()]
    tokenizer = tokenizer_of(name)
    found = tokenizer.encode_batch(texts[: 2 * SEQUENCES])
    return [sequence_of(tokenizer, ids[: room - 2]) for ids in found]


def _batches(sequences: Sequence[TokenSequence]) -> list[PackedBatch]:
    sizes = [len(sequence.tokens) for sequence in sequences]
    return [
        packed_of([sequences[number] for number in batch])
        for batch in batches_by_length(sizes, limit=BATCH_TOKENS)
    ]


def _changes(reports: Sequence[dict[str, Any]]) -> dict[str, float]:
    """By split and metric, the median over models of int8 less fp32, in points."""
    found: dict[str, list[float]] = {}
    for report in reports:
        for split, scores in report["scores"].items():
            for metric, value in scores["fp32"].items():
                change = scores["int8"][metric] - value
                found.setdefault(f"{split} {metric}", []).append(change)
    return {metric: statistics.median(changes) for metric, changes in found.items()}


def _show(report: dict[str, Any]) -> None:
    errors = report["errors"]
    rows = [
        (str(layer), f"{plain:.2%}", f"{smoothed:.2%}")
        for layer, (plain, smoothed) in enumerate(zip(*errors.values(), strict=True), 1)
    ]
    print(report["model"])
    print_table([("after layer", "int8: error", "smoothed"), *rows])
    if report["smoothed"]:
        print(f"smoothed inputs are kept: {SMOOTHING}")
    rows = [
        (f"{split} {metric}", f"{value:.2f}", f"{scores['int8'][metric]:.2f}")
        for split, scores in report["scores"].items()
        for metric, value in scores["fp32"].items()
    ]
    if rows:
        print_table([("", "fp32", "int8"), *rows])
