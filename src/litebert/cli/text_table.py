"""Rows of text under their head, as a table in the terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table


def print_table(rows: Sequence[Sequence[str]]) -> None:
    """Print a head and rows; the first column, of names, is not broken."""
    table = Table()
    for number, title in enumerate(rows[0]):
        table.add_column(title, no_wrap=number == 0)
    for row in rows[1:]:
        table.add_row(*row)
    Console().print(table)
