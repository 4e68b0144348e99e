"""What a long run shows on standard error: a bar on a terminal, a line now and then elsewhere."""

import time
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

# Seconds between lines when standard error is a file or a pipe.
QUIET_SECONDS = 20.0

Bar = TypeVar("Bar", bound="StatusBar")


class StatusBar:
    """A bar with the time left and a state in words; a context manager."""

    def __init__(self, title: str, *, disable: bool = False):
        """`disable` leaves only what is said."""
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn(title),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self.console,
            # else results would go where the bar is
            redirect_stdout=False,
            disable=disable or not self.console.is_terminal,
        )
        self.task = self.bar.add_task(title, total=1.0, state="starting")
        self.title, self.said_at = title, 0.0
        self.disabled = disable

    def __enter__(self: Bar) -> Bar:
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def show(self, share: float, state: str) -> None:
        """Where the run stands, as a share of it in [0, 1] and in words."""
        if self.disabled:
            return
        self.bar.update(self.task, completed=min(1.0, share), state=state)
        if not self.console.is_terminal and time.monotonic() - self.said_at > QUIET_SECONDS:
            self.said_at = time.monotonic()
            self.say(f"{self.title}: {share:.0%} {state}")

    def say(self, text: str) -> None:
        """A line of its own."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)
