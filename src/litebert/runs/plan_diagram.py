"""A drawing of a sharing plan: which weights every depth uses, as inline SVG.

One row for attention, one for feed-forward; a bar is one set of weights and spans the depths that
use it in a row, so ALBERT is two long bars and BERT a row of boxes.
"""

from litebert.sharing import SharingPlan

LEFT, WIDTH, ROW, BAR = 112, 640, 44, 30
# Sets of weights in a row differ by lightness only, so that print and colour-blind eyes see them.
_OPACITIES = (0.95, 0.7)


def plan_svg(plan: SharingPlan) -> str:
    """The plan as SVG with the CSS variables of the report."""
    step = WIDTH / len(plan)
    rows = (
        ("attention", [attention for attention, _ in plan], "var(--held-out)"),
        ("feed-forward", [feed_forward for _, feed_forward in plan], "var(--baseline)"),
    )
    parts = []
    for number, (name, indices, colour) in enumerate(rows):
        top = number * ROW
        parts.append(f'<text x="0" y="{top + 20}">{name}</text>')
        for first, last in _spans(indices):
            weights = indices[first]
            x, width = LEFT + first * step, (last - first) * step
            middle = x + width / 2
            label = f"weights {weights + 1}" if width > 80 else str(weights + 1)
            parts.append(
                f'<rect x="{x + 1:.1f}" y="{top}" width="{width - 2:.1f}" height="{BAR}" rx="5" '
                f'fill="{colour}" fill-opacity="{_OPACITIES[weights % 2]}"/>'
                f'<text class="on-bar" x="{middle:.1f}" y="{top + 20}" '
                f'text-anchor="middle">{label}</text>'
            )
    bottom = len(rows) * ROW + 6
    parts.append(f'<text x="0" y="{bottom + 4}">depth</text>')
    every = -(-len(plan) // 24)
    for depth in range(0, len(plan), every):
        x = LEFT + (depth + 0.5) * step
        parts.append(f'<text x="{x:.1f}" y="{bottom + 4}" text-anchor="middle">{depth + 1}</text>')
    return (
        f'<svg class="plan" viewBox="0 0 {LEFT + WIDTH} {bottom + 12}" role="img" '
        f'aria-label="Weights used at each depth">{"".join(parts)}</svg>'
    )


def _spans(indices: list[int]) -> list[tuple[int, int]]:
    """First depth and one past the last of every run of equal indices."""
    edges = [i for i in range(1, len(indices)) if indices[i] != indices[i - 1]]
    return list(zip([0, *edges], [*edges, len(indices)], strict=True))
