"""Learning curves: SVG that takes the colours of the page around it, and pictures for documents.

Drawn by matplotlib from the events of a run. In a page every colour is a CSS variable, so one
drawing is legible on light and on dark.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from litebert.errors import InputError
from litebert.runs.drawing import (
    BASELINE,
    HELD_OUT,
    TRAIN,
    drawing_style,
    in_page,
    short_number,
)
from litebert.runs.record import RunRecord

MEASURES = {"mlm_loss": "masked-LM loss, nats", "sentence_accuracy": "sentence accuracy"}
# Points of a line; more cannot be seen and make pages heavy.
POINTS = 300


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One drawing: a training line, held-out points, and a level to compare with."""

    title: str
    train: str
    """Field of step events."""
    held_out: str | None = None
    """Field of evaluation events."""
    level: Callable[[RunRecord], float | None] = field(default=lambda record: None)
    level_name: str = ""
    percent: bool = False


def _unigram(record: RunRecord) -> float | None:
    return record.evaluation["unigram_loss"] if record.evaluation else None


PANELS = (
    Panel(
        title="Masked-LM loss, nats per masked token",
        train="mlm_loss",
        held_out="mlm_loss",
        level=_unigram,
        level_name="unigram baseline",
    ),
    Panel(title="Masked-LM accuracy", train="mlm_accuracy", held_out="mlm_accuracy", percent=True),
    Panel(
        title="Sentence accuracy",
        train="sentence_accuracy",
        held_out="sentence_accuracy",
        level=lambda record: 0.5,
        level_name="chance",
        percent=True,
    ),
    Panel(title="Learning rate, share of its peak", train="rate_factor"),
    Panel(title="Tokens per second", train="tokens_per_second"),
    Panel(title="Norm of the gradient before clipping", train="gradient_norm"),
)


def panel_svg(record: RunRecord, panel: Panel) -> str | None:
    """One panel as inline SVG over tokens, minutes on top; None when the run never logged it."""
    steps = [event for event in record.of("step") if panel.train in event]
    points = [
        event
        for event in record.of("evaluation")
        if panel.held_out and event.get(panel.held_out) is not None
    ]
    if not steps and not points:
        return None
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, PercentFormatter

    with drawing_style():
        figure = Figure(figsize=(5.2, 2.9), layout="constrained")
        axes = figure.add_subplot()
        if steps:
            tokens, values = _thinned(steps, panel.train)
            label = "training" if panel.held_out else None
            axes.plot(tokens, values, color=TRAIN, linewidth=1.2, label=label)
        if points:
            tokens, values = _columns(points, panel.held_out or "")
            axes.plot(tokens, values, color=HELD_OUT, linewidth=2, marker="o", markersize=4,
                      label="held out")  # fmt: skip
        level = panel.level(record)
        if level is not None:
            axes.axhline(level, color=BASELINE, linestyle=(0, (4, 3)), label=panel.level_name)
        _limit_y(axes, panel, steps, points, level)
        last = max(event["tokens"] for event in [*steps, *points])
        axes.set_xlim(0, last * 1.02)
        axes.set_xlabel("tokens")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        if panel.percent:
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
        elif values[-1] >= 1000:
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        _minutes_on_top(axes, record)
        if panel.held_out or panel.level_name:
            axes.legend()
        return in_page(figure, panel.train)


def curve_image(
    run_directories: Sequence[str | Path],
    path: str | Path,
    *,
    labels: Sequence[str] | None = None,
    against: Literal["tokens", "minutes"] = "tokens",
    measure: Literal["mlm_loss", "sentence_accuracy"] = "mlm_loss",
    title: str = "",
) -> Path:
    """Draw a held-out measure of runs as a PNG or SVG file.

    The masked-LM loss beside the unigram baseline, or the sentence accuracy with its 95 % intervals
    beside chance. One line a run, named by `labels` or else by its directory. Raises InputError for
    a directory that is no run and for a run without such an evaluation.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter

    names = labels or [Path(directory).name for directory in run_directories]
    with drawing_style("#222222", "#e3e3e3", **{"savefig.dpi": 160}):
        figure = Figure(figsize=(7, 3.8), layout="constrained")
        axes = figure.add_subplot()
        baselines = []
        for name, directory in zip(names, run_directories, strict=True):
            record = RunRecord.read(directory)
            points = [e for e in record.of("evaluation") if e.get(measure) is not None]
            if not points:
                raise InputError(f"{directory}: no evaluation was logged: give the recipe valid")
            tokens, values = _columns(points, measure)
            x = [event["seconds"] / 60 for event in points] if against == "minutes" else tokens
            (line,) = axes.plot(x, values, marker="o", markersize=4, label=name)
            if measure == "sentence_accuracy":
                low, high = np.array([event["sentence_interval"] for event in points]).T
                axes.fill_between(x, low, high, color=line.get_color(), alpha=0.2, linewidth=0)
            baselines.append(points[-1]["unigram_loss"] if measure == "mlm_loss" else 0.5)
        level_name = "unigram baseline" if measure == "mlm_loss" else "chance"
        known = [value for value in baselines if value is not None]
        for number, value in enumerate(sorted(set(known))):
            axes.axhline(value, color="#777777", linestyle=(0, (4, 3)),
                         label=None if number else level_name)  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_xlabel(against)
        axes.set_ylabel(f"held-out {MEASURES[measure]}")
        axes.set_title(title)
        if against == "tokens":
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: short_number(value)))
        axes.legend()
        figure.savefig(path, metadata={"Date": None} if Path(path).suffix == ".svg" else None)
    return Path(path)


def _columns(events: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    return np.array([e["tokens"] for e in events]), np.array([e[name] for e in events])


def _thinned(events: list[dict[str, Any]], name: str) -> tuple[np.ndarray, np.ndarray]:
    """Tokens and values, as means over neighbours where there are more than can be seen."""
    pieces = min(POINTS, len(events))
    columns = (np.array_split(column, pieces) for column in _columns(events, name))
    tokens, values = ([piece.mean() for piece in column] for column in columns)
    return np.array(tokens), np.array(values)


def _limit_y(axes: Any, panel: Panel, steps: list, points: list, level: float | None) -> None:
    """Cut off the first seconds of a loss, which would press the rest into a line."""
    if panel.train == "rate_factor":
        axes.set_ylim(0, 1.05)
    elif panel.train == "tokens_per_second":
        axes.set_ylim(bottom=0)
    elif not panel.percent and len(steps) > 4:
        _, values = _columns(steps, panel.train)
        compared = [event[panel.held_out] for event in points if panel.held_out]
        compared += [] if level is None else [level]
        top = max([float(np.quantile(values, 0.98)), *compared])
        low = min([float(values.min()), *compared])
        if top > low:
            axes.set_ylim(low - 0.06 * (top - low), top + 0.06 * (top - low))


def _minutes_on_top(axes: Any, record: RunRecord) -> None:
    from matplotlib.ticker import MaxNLocator

    events = record.of("step", "evaluation")
    tokens = np.array([0, *(event["tokens"] for event in events)])
    minutes = np.array([0, *(event["seconds"] / 60 for event in events)])
    ticks = [t for t in MaxNLocator(5).tick_values(0, minutes[-1]) if t <= minutes[-1]]
    top = axes.secondary_xaxis("top")
    top.set_xticks(np.interp(ticks, minutes, tokens), [f"{tick:g}" for tick in ticks])
    top.spines["top"].set_visible(False)
    top.set_xlabel("minutes")
