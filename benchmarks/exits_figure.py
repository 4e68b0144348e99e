"""Draws the lines of benchmarks/exits.py: speed against accuracy, promise against measurement.

    python benchmarks/exits_figure.py exits.jsonl exits.svg

Prints them as a table in Markdown.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from litebert.runs.drawing import BASELINE, HELD_OUT, INK, TRAIN, drawing_style, picture

COLOURS = (HELD_OUT, BASELINE, TRAIN, INK)
HEADER = (
    "task",
    "promised",
    "measured",
    "kept",
    "layers",
    "speed",
    "accuracy early",
    "at full depth",
)


def draw(lines: list[dict[str, Any]]) -> Any:
    """Left accuracy against speed, right the measured disagreement against the promised one."""
    from matplotlib.figure import Figure

    tasks = list(dict.fromkeys(_task(found) for found in lines))
    with drawing_style():
        figure = Figure(figsize=(8, 3.4), layout="constrained")
        speed, promise = figure.subplots(1, 2)
        for task, colour in zip(tasks, COLOURS, strict=False):
            own = [found for found in lines if _task(found) == task]
            lost = [found["accuracy"] - found["full accuracy"] for found in own]
            speed.plot([f["ratio"] for f in own], lost, "-o", color=colour, markersize=4)
            asked = [100 * _risk(found) for found in own]
            seen = [100 * found["disagreement"] for found in own]
            promise.plot(asked, seen, "-o", color=colour, markersize=4, label=task)
        ends = [0, max(100 * _risk(found) for found in lines)]
        promise.plot(ends, ends, color=INK, linewidth=0.8, linestyle=":", label="promised")
        speed.set_xlabel("answers a second, times full depth")
        speed.set_ylabel("accuracy less that at full depth, points")
        promise.set_xlabel("promised disagreement, %")
        promise.set_ylabel("measured on other rows, %")
        promise.legend(fontsize=8)
    return figure


def table(lines: list[dict[str, Any]]) -> str:
    """A row for each task and risk, as Markdown."""
    rows = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    for found in lines:
        cells = (
            _task(found),
            f"{_risk(found):.1%}",
            f"{found['disagreement']:.2%}",
            f"{found['kept']:.0%} of {found['draws']}",
            f"{found['layers']:.1f} of {found['of']}",
            f"{found['ratio']:.2f}",
            f"{found['accuracy']:.1f}",
            f"{found['full accuracy']:.1f}",
        )
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def _task(found: dict[str, Any]) -> str:
    return found["case"].split(",")[0]


def _risk(found: dict[str, Any]) -> float:
    return float(found["case"].split("risk ")[1].split("%")[0]) / 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("lines", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    lines = [json.loads(row) for row in arguments.lines.read_text().splitlines()]
    arguments.picture.write_bytes(picture(draw(lines)))
    print(table(lines))


if __name__ == "__main__":
    main()
