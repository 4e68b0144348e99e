"""A page that needs no network and no scripts: head, style, sections, tables."""

from collections.abc import Iterable, Sequence
from html import escape

from litebert.runs.report_style import STYLE


def page(title: str, sections: Iterable[str], *, footer: str) -> str:
    """A whole HTML document; empty sections are left out."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>\n<body>"
        + "\n".join(part for part in sections if part)
        + f"<footer>{footer}</footer></body></html>\n"
    )


def section(title: str, body: str) -> str:
    """A part of the page under a heading."""
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def halves(*tables: list[tuple[str, ...]]) -> str:
    """Tables side by side; a single one is cut in two."""
    if len(tables) == 1:
        middle = -(-len(tables[0]) // 2)
        tables = (tables[0][:middle], tables[0][middle:])
    panels = (f'<div class="panel">{table(rows)}</div>' for rows in tables)
    return f'<div class="halves">{"".join(panels)}</div>'


def table(rows: Iterable[tuple[str, ...]]) -> str:
    """Rows of a name, a value and maybe a note."""
    lines = []
    for name, value, *notes in rows:
        note = "".join(f'<td class="note">{escape(note)}</td>' for note in notes)
        lines.append(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td>{note}</tr>")
    return f"<table>{''.join(lines)}</table>"


def headed_table(rows: Sequence[Sequence[str]]) -> str:
    """Rows under their head, in a panel of the page."""
    tags = ["th", *["td"] * (len(rows) - 1)]
    lines = "".join(
        "<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row) + "</tr>"
        for tag, row in zip(tags, rows, strict=True)
    )
    return f'<div class="panel"><table>{lines}</table></div>'
