"""Draws the lines of benchmarks/latency.py: time by tokens, and where one block stops paying.

    python benchmarks/latency_figure.py latency.jsonl latency.svg

Prints the knees as a table in Markdown: the longest text up to which BERT took a tenth longer.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from litebert.runs.drawing import BASELINE, HELD_OUT, drawing_style, picture

# BERT's time over ALBERT's from which on sharing weights counts as paying.
PAYS = 1.1
Rows = list[tuple[int, float, float]]


def curves(lines: list[dict[str, Any]]) -> dict[tuple[str, str], Rows]:
    """By precision and warm or cold: (tokens, ms of ALBERT, ms of BERT), by tokens."""
    found: dict[tuple[str, str], Rows] = {}
    for measured in lines:
        precision, shape, state = measured["case"].split()
        tokens = int(shape.split("x")[1])
        row = tokens, measured["ours"], measured["peer_value"]
        found.setdefault((precision, state), []).append(row)
    return {key: sorted(rows) for key, rows in found.items()}


def knee(rows: Rows) -> int | None:
    """The tokens of the longest text up to which BERT takes a tenth longer; None if never."""
    paying = None
    for tokens, albert, bert in rows:
        if bert < PAYS * albert:
            break
        paying = tokens
    return paying


def draw(found: dict[tuple[str, str], Rows]) -> Any:
    """A panel for each precision, both models, warm and cold."""
    from matplotlib.figure import Figure

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
            axes.set_title(f"{precision}: pays up to {end or 0} tokens, warm", fontsize=9)
            axes.set_xscale("log", base=2)
            axes.set_yscale("log")
            axes.set_xlabel("tokens")
        panels[0].set_ylabel("milliseconds")
        panels[0].legend(fontsize=7)
    return figure


def table(found: dict[tuple[str, str], Rows]) -> str:
    """BERT's time over ALBERT's at every length, and the knee, as Markdown."""
    sizes = [tokens for tokens, _, _ in next(iter(found.values()))]
    rows = [
        f"| bert-base / albert-base | {' | '.join(map(str, sizes))} | pays up to |",
        "|---" * (len(sizes) + 2) + "|",
    ]
    for (precision, state), measured in found.items():
        ratios = " | ".join(f"{bert / albert:.2f}" for _, albert, bert in measured)
        rows.append(f"| {precision} {state} | {ratios} | {knee(measured) or 'never'} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("lines", type=Path)
    parser.add_argument("picture", type=Path)
    arguments = parser.parse_args()
    found = curves([json.loads(row) for row in arguments.lines.read_text().splitlines()])
    arguments.picture.write_bytes(picture(draw(found)))
    print(table(found))


if __name__ == "__main__":
    main()
