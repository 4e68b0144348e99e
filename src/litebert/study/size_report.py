"""The page of the `size` study: parameters as bars, the two ideas drawn, the paper's counts."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from litebert.config import PRESETS
from litebert.files import write_atomically
from litebert.runs.drawing import (
    BASELINE,
    GRID,
    HELD_OUT,
    INK,
    TRAIN,
    drawing_style,
    in_page,
    picture,
    short_number,
)
from litebert.runs.page import headed_table, page, section
from litebert.runs.plan_diagram import plan_svg
from litebert.sharing import Sharing, SharingPlan
from litebert.study.size import LENGTH, Comparison, Size, counted_claims
from litebert.study.tables import markdown_table

_COLOURS = {
    "embeddings": HELD_OUT,
    "projection": INK,
    "attentions": TRAIN,
    "feed_forwards": BASELINE,
    "pooler": GRID,
    "heads": GRID,
}
STRATEGIES: dict[Sharing, str] = {
    "all": "everything shared (ALBERT)",
    "attention": "attention shared",
    "feed_forward": "feed-forward shared",
    "groups": "three groups",
    "none": "nothing shared (BERT)",
}


def write_size_report(
    sizes: Mapping[str, Size], comparisons: Sequence[Comparison], directory: Path
) -> Path:
    """Write report.html and report.md with its pictures; returns the page."""
    bars, matrices = _stacked(sizes), _factorisation()
    plans = "".join(
        f"<p>{escape(words)}</p>{plan_svg(_plan(sharing))}" for sharing, words in STRATEGIES.items()
    )
    sections = [
        "<h1>What factorising and sharing save</h1>"
        '<p class="soft">Counted from configurations, to the unit; nothing was trained.</p>',
        section("Claims", headed_table(counted_rows())),
        section("Parameters by part", f'<div class="panel">{in_page(bars, "parts")}</div>'),
        section("Models", f"<p>{escape(SIZE_NOTE)}</p>{headed_table(size_rows(sizes))}"),
        section(
            "Factorised embeddings",
            f'<div class="panel">{in_page(matrices, "factorised")}</div>',
        ),
        section("Which weights each depth uses", f'<div class="panel">{plans}</div>'),
        section("The paper's counts", headed_table(count_rows(comparisons))),
    ]
    footer = "Written by litebert study size. Tables of Lan et al. 2020, arXiv 1909.11942."
    path = directory / "report.html"
    text = page("What factorising and sharing save", sections, footer=footer)
    write_atomically(path, text.encode())
    for name, figure in (("parts", bars), ("factorised", matrices)):
        write_atomically(directory / "pictures" / f"{name}.svg", picture(figure))
    parts = [
        "# What factorising and sharing save",
        "## Claims",
        markdown_table(counted_rows()),
        "![Parameters by part](pictures/parts.svg)",
        SIZE_NOTE,
        markdown_table(size_rows(sizes)),
        "![Factorised embeddings](pictures/factorised.svg)",
        "## The paper's counts",
        markdown_table(count_rows(comparisons)),
    ]
    write_atomically(directory / "report.md", ("\n\n".join(parts) + "\n").encode())
    return path


def size_rows(sizes: Mapping[str, Size], *, exact: bool = True) -> list[list[str]]:
    """Parameters, bytes and arithmetic of every model, under a head; rounded unless exact."""
    head = ["model", "encoder", "tables", "if E = H", "blocks", "applied", "MFLOP/token", "MB"]
    rows = [head]
    for name, found in sizes.items():
        blocks = found.parts.attentions + found.parts.feed_forwards
        counts = (found.encoder, found.tables, found.tables_unfactorised, blocks, found.applied)
        rows.append(
            [
                name,
                *(f"{count:,}" if exact else short_number(count) for count in counts),
                f"{found.forward_flops / 1e6:,.0f}",
                f"{2 * (found.encoder + found.parts.heads) / 1e6:,.1f}",
            ]
        )
    return rows


SIZE_NOTE = (
    f"Tables are the embeddings with their projection, and what they would be with E = H; applied "
    f"counts a block as often as a pass uses it; FLOPs are those of the encoder over {LENGTH} "
    f"tokens; MB in bf16 with all heads."
)


def counted_rows() -> list[list[str]]:
    """The claims that counting decides, under the head of a study's claims."""
    rows = [["verdict", "claim", "effect", "seeds"]]
    for found in counted_claims():
        verdict = "holds" if found.holds else "does not hold"
        rows.append([verdict, found.sentence, found.effect, "counted"])
    return rows


def count_rows(comparisons: Sequence[Comparison]) -> list[list[str]]:
    """The paper's counts beside ours, under a head."""
    rows = [["table", "model", "paper", "encoder with pooler", "which count gives it"]]
    for found in comparisons:
        printed = ", ".join(f"{number}M" for number in found.counted.millions)
        counted = found.counted
        row = [str(counted.table), counted.name, printed, f"{found.exact:,}", found.explanation]
        rows.append(row)
    return rows


def _plan(sharing: Sharing) -> SharingPlan:
    return SharingPlan.make(sharing, depth=12, groups=3 if sharing == "groups" else 1)


def _stacked(sizes: Mapping[str, Size]) -> Any:
    """Parameters of every model by part."""
    from matplotlib.figure import Figure

    with drawing_style():
        figure = Figure(figsize=(7, 0.9 + 0.42 * len(sizes)), layout="constrained")
        axes = figure.subplots()
        for row, found in enumerate(sizes.values()):
            left = 0
            for part, count in vars(found.parts).items():
                label = part.replace("_", "-") if row == 0 and part != "heads" else None
                axes.barh(row, count / 1e6, left=left / 1e6, color=_COLOURS[part], label=label)
                left += count
            axes.text(left / 1e6, row, f" {short_number(left)}", va="center")
        axes.set_yticks(range(len(sizes)), list(sizes))
        axes.invert_yaxis()
        axes.set_xlabel("parameters, millions, with the heads of pretraining")
        axes.margins(x=0.12)
        axes.legend(ncols=5, loc="lower center", bbox_to_anchor=(0.45, 1.0))
    return figure


def _factorisation() -> Any:
    """V x H against V x E and E x H, areas in proportion."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    config = PRESETS["albert-large"]
    rows, wide, narrow = config.vocab_size, config.hidden_size, config.embedding_size
    with drawing_style():
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        axes = figure.subplots()
        # a third of a pixel for a row would not be seen: heights are drawn at a tenth
        tall = rows / 10
        for left, width, height, colour, label in (
            (0, wide, tall, TRAIN, f"V × H\n{rows * wide / 1e6:.1f} M"),
            (1700, narrow, tall, HELD_OUT, f"V × E\n{rows * narrow / 1e6:.1f} M"),
            (2300, wide, narrow, BASELINE, f"E × H\n{narrow * wide / 1e6:.2f} M"),
        ):
            axes.add_patch(Rectangle((left, tall - height), width, height, color=colour))
            axes.text(left + width / 2, tall - height - 160, label, ha="center", va="top")
        axes.text(1350, tall / 2, "→", fontsize=20, ha="center", va="center")
        axes.text(2060, tall / 2, "times", ha="center", va="center")
        axes.set_xlim(-100, 3500)
        axes.set_ylim(-900, tall + 100)
        axes.set_axis_off()
        axes.set_title(
            f"albert-large: V = {rows:,}, H = {wide}, E = {narrow} (heights at a tenth)",
            fontsize=9,
        )
    return figure
