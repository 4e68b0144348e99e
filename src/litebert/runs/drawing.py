"""Drawings for a page: SVG whose colours are the variables of the style sheet around it.

One drawing is then legible on light and on dark.
"""

import io
import re
from typing import Any

# Colours that nothing else in a drawing has; `_in_page` turns each into a CSS variable.
INK, GRID, TRAIN, HELD_OUT, BASELINE = "#010101", "#020202", "#030303", "#040404", "#050505"
_VARIABLES = {
    INK: "var(--ink)",
    GRID: "var(--grid)",
    TRAIN: "var(--train)",
    HELD_OUT: "var(--held-out)",
    BASELINE: "var(--baseline)",
}
# The same colours where no style sheet is around: a picture of a document, on white.
_PRINTED = {
    INK: "#222222",
    GRID: "#e3e3e3",
    TRAIN: "#93a5ba",
    HELD_OUT: "#1f5fae",
    BASELINE: "#b8590f",
}


def short_number(value: float) -> str:
    """A number as a person says it: 1.3 M, 250 k."""
    for size, unit in ((1e12, " T"), (1e9, " B"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.3g}"


def drawing_style(ink: str = INK, grid: str = GRID, **more: Any) -> Any:
    """matplotlib's settings for every drawing of ours, as a context to draw in."""
    import matplotlib

    inked = ("text.color", "axes.labelcolor", "xtick.labelcolor", "ytick.labelcolor")
    settings: Any = dict.fromkeys(inked, ink) | {
        "font.size": 9,
        "axes.edgecolor": grid,
        "xtick.color": grid,
        "ytick.color": grid,
        "grid.color": grid,
        "axes.grid": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "svg.fonttype": "none",
        "text.parse_math": False,  # a label may hold dollars
    }
    return matplotlib.rc_context(settings | more)


def in_page(figure: Any, salt: str) -> str:
    """A figure as inline SVG; `salt` keeps the names inside it apart from other drawings'."""
    import matplotlib

    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->", "", svg, flags=re.DOTALL)
    svg = re.sub(r' id="[a-z0-9.]+_\d+"', "", svg)  # figure_1 and the like recur in every drawing
    svg = re.sub(r"font: ([\d.]+px) [^;\"]+", r"font-size: \1", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, variable)
    return svg


def picture(figure: Any) -> bytes:
    """A figure as the content of an SVG file, on white."""
    import matplotlib

    buffer = io.StringIO()
    # letters as letters: a fifth of the bytes, and the same ones every time
    with matplotlib.rc_context({"svg.hashsalt": "picture", "svg.fonttype": "none"}):
        figure.savefig(buffer, format="svg", facecolor="white", metadata={"Date": None})
    svg = buffer.getvalue()
    for colour, printed in _PRINTED.items():
        svg = svg.replace(colour, printed)
    return svg.encode()
