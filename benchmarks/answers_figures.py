"""The pictures of docs/performance.md about answers: time by tokens, and early answers.

    python benchmarks/answers_figures.py

Reads the lines that benchmarks/answers.py reads and writes docs/images/latency.svg and exits.svg.
"""

from typing import Any

from answers import RESULTS, knee, latencies, read, task_and_risk
from litebert.runs.drawing import BASELINE, HELD_OUT, INK, TRAIN, drawing_style, picture

IMAGES = RESULTS.parent / "images"
COLOURS = (HELD_OUT, BASELINE, TRAIN, INK)


def draw_latency() -> Any:
    """A panel for each precision: both models, warm and cold."""
    from matplotlib.figure import Figure

    found = latencies()
    precisions = list(dict.fromkeys(precision for precision, _ in found))
    with drawing_style():
        figure = Figure(figsize=(3.2 * len(precisions), 3.2), layout="constrained")
        panels = figure.subplots(1, len(precisions), sharey=True, squeeze=False)[0]
        for axes, precision in zip(panels, precisions, strict=True):
            for state, style in (("warm", "-o"), ("cold", "--o")):
                tokens, albert, bert = zip(*found[precision, state], strict=True)
                for name, times, colour in (
                    ("albert-base", albert, HELD_OUT),
                    ("bert-base", bert, BASELINE),
                ):
                    axes.plot(
                        tokens, times, style, color=colour, markersize=3, label=f"{name}, {state}"
                    )
            end = knee(found[precision, "warm"])
            pays = f"pays up to {end} tokens" if end else "never pays"
            axes.set_title(f"{precision}: {pays} (warm)", fontsize=9)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xlabel("tokens")
        panels[0].set_ylabel("milliseconds")
        panels[0].legend(fontsize=7)
    return figure


def draw_exits() -> Any:
    """Left accuracy against speed, right the measured disagreement against the promised one."""
    from matplotlib.figure import Figure

    tasks: dict[str, list[tuple[float, dict[str, Any]]]] = {}
    for found in read("exits"):
        task, risk = task_and_risk(found)
        tasks.setdefault(task, []).append((100 * risk, found))
    with drawing_style():
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        speed, promise = figure.subplots(1, 2)
        for (task, rows), colour in zip(tasks.items(), COLOURS, strict=False):
            lost = [found["accuracy"] - found["full accuracy"] for _, found in rows]
            speed.plot([found["ratio"] for _, found in rows], lost, "-o", color=colour)
            promise.plot(
                [risk for risk, _ in rows],
                [100 * found["disagreement"] for _, found in rows],
                "-o",
                color=colour,
                label=task,
            )
        end = max(risk for rows in tasks.values() for risk, _ in rows)
        promise.plot([0, end], [0, end], color=INK, linewidth=0.8, linestyle=":", label="promised")
        speed.set_xlabel("answers a second, times full depth")
        speed.set_ylabel("accuracy less that at full depth, points")
        promise.set_xlabel("promised disagreement, %")
        promise.set_ylabel("measured on other rows, %")
        promise.legend(fontsize=8)
    return figure


if __name__ == "__main__":
    for name, figure in (("latency", draw_latency()), ("exits", draw_exits())):
        (IMAGES / f"{name}.svg").write_bytes(picture(figure))
