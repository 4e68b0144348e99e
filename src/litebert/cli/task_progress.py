"""A fine-tuning run as a person follows it: a bar on a terminal, a line now and then elsewhere."""

import time
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

# Seconds between lines when standard error is a file or a pipe.
QUIET_SECONDS = 20.0


class TaskProgress:
    """Shows the events of a fine-tuning run on standard error; a context manager."""

    def __init__(self, title: str):
        self.console = Console(stderr=True)
        self.bar = Progress(
            TextColumn(title),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[state]}"),
            console=self.console,
            disable=not self.console.is_terminal,
        )
        self.task = self.bar.add_task(title, total=1.0, state="reading")
        self.title, self.said_at = title, 0.0

    def __enter__(self) -> "TaskProgress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def watch(self, event: str, values: dict[str, Any]) -> None:
        """Show one event of a run (`finetune(watch=...)`)."""
        if event in ("step", "resume"):
            self._step(values)
        elif event == "evaluation":
            scores = ", ".join(f"{name} {value:.2f}" for name, value in values["scores"].items())
            best = ", the best so far" if values["best"] else ""
            self._print(f"seed {values['seed']}, step {values['step']}: {scores}{best}")
        elif event == "task":
            rows = ", ".join(f"{count:,} {name}" for name, count in values["rows"].items())
            self._print(f"{values['task']}: {rows} rows")
        elif event == "seed":
            self._print(
                f"seed {values['seed']}: {values['steps']} steps in {values['seconds']:.0f} s, "
                f"{values['examples_per_second']:.0f} examples/s"
            )
        elif event == "warning":
            self._print(f"warning: {values['message']}")

    def _step(self, values: dict[str, Any]) -> None:
        share = values["step"] / values["steps"]
        state = f"seed {values['seed']}, {values['examples_per_second']:.0f} examples/s"
        if values["loss"] is not None:
            state += f", loss {values['loss']:.3f}"
        self.bar.update(self.task, completed=share, state=state)
        if not self.console.is_terminal and time.monotonic() - self.said_at > QUIET_SECONDS:
            self.said_at = time.monotonic()
            self._print(f"{self.title}: {share:.0%} {state}")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def score_table(scores: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Scores as lines: the median, and the quartiles where there are several seeds."""
    lines = []
    for split, metrics in scores.items():
        for name, value in metrics.items():
            count = len(value["values"])
            spread = f" [{value['low']:.2f}, {value['high']:.2f}] of {count} seeds"
            lines.append(f"{split} {name}: {value['median']:.2f}{spread if count > 1 else ''}")
    return "\n".join(lines)
