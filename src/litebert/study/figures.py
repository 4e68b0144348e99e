"""Pictures of a study: curves along what varies, bars otherwise, similarity by depth."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from litebert.runs.drawing import BASELINE, GRID, HELD_OUT, TRAIN, drawing_style, short_number
from litebert.study.claims import interval
from litebert.study.results import StudyResults

METRICS = {
    "mlm_loss": "held-out masked-LM loss, nats",
    "mlm_accuracy": "held-out masked-LM accuracy, %",
    "sop_accuracy": "sentence order, %",
    "nsp_accuracy": "next sentence, %",
    "blimp": "BLiMP, %",
    "downstream": "mean of the fine-tuned tasks",
    "distance_spread": "spread over layers of the distance from input to output",
    "last_distance": "distance from input to output of the last layer",
}
_COLOURS = (HELD_OUT, TRAIN, BASELINE)


def title_of(metric: str) -> str:
    """A metric in words."""
    return METRICS.get(metric, metric)


def draw_metric(results: StudyResults, metric: str) -> Any:
    """A metric of all variants with its 95 % intervals, as a matplotlib figure."""
    with drawing_style():
        if results.study.along is None:
            return _bars(results, metric)
        return _curves(results, metric)


def _bars(results: StudyResults, metric: str) -> Any:
    from matplotlib.figure import Figure

    values = results.metrics[metric]
    names = [name for name in results.variants if name in values]
    figure = Figure(figsize=(6.4, 0.9 + 0.34 * len(names)), layout="constrained")
    axes = figure.subplots()
    for row, name in enumerate(names):
        each = list(values[name].values())
        low, high = _ends(each)
        axes.plot([low, high], [row, row], color=HELD_OUT, linewidth=2)
        axes.plot(each, [row] * len(each), "o", color=TRAIN, markersize=3)
        axes.plot([np.mean(each)], [row], "o", color=HELD_OUT, markersize=6)
    parameters = results.of_variant("parameters")
    labels = [f"{name} ({short_number(parameters[name])})" for name in names]
    axes.set_yticks(range(len(names)), labels)
    axes.invert_yaxis()
    axes.set_xlabel(title_of(metric))
    return figure


def _curves(results: StudyResults, metric: str) -> Any:
    from matplotlib.figure import Figure

    assert results.study.along is not None
    label, place = results.study.along
    values = results.metrics[metric]
    shapes = {v.name: v.shape for v in results.study.variants(results.scale)}
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    lines: dict[str, list[str]] = {}
    for name in results.variants:
        if name in values:
            lines.setdefault(shapes[name].sharing, []).append(name)
    for colour, (sharing, names) in zip(_COLOURS, lines.items(), strict=False):
        at = [place(shapes[name]) for name in names]
        means = [float(np.mean(list(values[name].values()))) for name in names]
        axes.plot(at, means, "-o", color=colour, markersize=4, label=f"sharing: {sharing}")
        for x, name in zip(at, names, strict=True):
            low, high = _ends(list(values[name].values()))
            axes.plot([x, x], [low, high], color=colour, linewidth=1)
    axes.set_xscale("log", base=2)
    every = sorted({place(shapes[name]) for names in lines.values() for name in names})
    axes.set_xticks(every, [f"{x:g}" for x in every])
    axes.minorticks_off()
    axes.set_xlabel(label)
    axes.set_ylabel(title_of(metric))
    if len(lines) > 1:
        axes.legend()
    return figure


def draw_learning(results: StudyResults) -> Any:
    """Held-out loss of every variant over time where that is equal, else over tokens."""
    from matplotlib.figure import Figure

    timed = results.facts["equal"] == "minutes"
    with drawing_style():
        figure = Figure(figsize=(6.4, 3.6), layout="constrained")
        axes = figure.subplots()
        lines = dict(enumerate(results.variants))
        for number, name in lines.items():
            colour = _COLOURS[number % len(_COLOURS)]
            dashes = ("-", "--", ":")[number // len(_COLOURS) % 3]
            for cell in (cell for cell in results.cells if cell["variant"] == name):
                x = [p["seconds"] / 60 if timed else p["tokens"] / 1e6 for p in cell["curve"]]
                y = [point["mlm_loss"] for point in cell["curve"]]
                label = name if cell["seed"] == results.cells[0]["seed"] else None
                axes.plot(x, y, dashes, color=colour, linewidth=1.2, label=label)
        axes.set_xlabel("minutes" if timed else "tokens, millions")
        axes.set_ylabel(title_of("mlm_loss"))
        axes.legend(fontsize=7)
    return figure


def draw_similarity(by_variant: Mapping[str, Mapping[str, list[float]]]) -> Any:
    """Distance and cosine of input and output by layer, a line a variant."""
    from matplotlib.figure import Figure

    with drawing_style():
        figure = Figure(figsize=(6.4, 2.8), layout="constrained")
        panels = figure.subplots(1, 2)
        for axes, measure in zip(panels, ("distance", "cosine"), strict=True):
            for colour, (name, found) in zip(_COLOURS, by_variant.items(), strict=False):
                layers = range(1, len(found[measure]) + 1)
                axes.plot(layers, found[measure], "-o", color=colour, markersize=3, label=name)
            axes.set_xlabel("layer")
            axes.set_ylabel(f"{measure} of input and output")
            axes.grid(color=GRID)
        panels[0].legend()
    return figure


def _ends(values: list[float]) -> tuple[float, float]:
    """The interval of a mean, cut to what can be drawn."""
    low, high = interval(np.array(values))
    return (low, high) if np.isfinite(low) else (min(values), max(values))
