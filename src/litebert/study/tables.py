"""Tables of text, a head and rows, as HTML and as Markdown."""

from collections.abc import Sequence
from html import escape


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their head; a bar inside a cell is escaped."""
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def html_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their head, in a panel of the page."""
    tags = ["th", *["td"] * (len(rows) - 1)]
    lines = "".join(
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in zip(tags, rows, strict=True)
    )
    return f'<div class="panel"><table>{lines}</table></div>'
