"""How far the rows of a file are answered, as a person follows it."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from litebert.cli.status_bar import StatusBar

Row = TypeVar("Row")

# Seconds between two states of the bar.
EVERY = 0.1


class RowProgress(StatusBar):
    """Shows on standard error how many rows of a total are done; a context manager.

    Silent where the total is not known and where the answers themselves appear on the terminal, and
    without a terminal for the first seconds.
    """

    def __init__(
        self, title: str, total: int | None, *, of: str = "rows", to_terminal: bool = False
    ):
        """`of` names what is counted; `to_terminal` says that answers appear as they come."""
        super().__init__(title, disable=total is None or (to_terminal and sys.stdout.isatty()))
        self._total, self.count, self._of = max(1, total or 0), 0, of
        self._start = self._shown = self.said_at = time.monotonic()

    def counted(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, shown as done when the next one is asked for."""
        for row in rows:
            yield row
            self.done(self.count + 1)

    def done(self, count: int) -> None:
        """So many rows are done by now."""
        self.count, now = count, time.monotonic()
        # not for each of thousands a second
        if now - self._shown > EVERY or count >= self._total:
            self._shown = now
            rate = count / max(1e-9, now - self._start)
            self.show(count / self._total, f"{count:,} {self._of}, {rate:,.1f} a second")

    def share(self, share: float) -> None:
        """Such a share of the rows is done by now."""
        self.done(round(share * self._total))
