"""A run's events as a person follows them: a bar on a terminal, a line now and then elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

# Seconds between lines when standard error is a file or a pipe.
QUIET_SECONDS = 20.0


class RunProgress:
    """Shows the events of a pretraining run on standard error; a context manager."""

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
        self.task = self.bar.add_task(title, total=1.0, state="starting")
        self.title, self.said_at = title, 0.0

    def __enter__(self) -> "RunProgress":
        self.bar.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.bar.stop()

    def watch(self, event: str, values: dict) -> None:
        """Show one event of a run (`Pretraining(watch=...)`)."""
        if event == "step":
            state = _state(values)
            self.bar.update(self.task, completed=min(1.0, values["share"]), state=state)
            if not self.console.is_terminal and time.monotonic() - self.said_at > QUIET_SECONDS:
                self.said_at = time.monotonic()
                self._print(f"{self.title}: {values['share']:.0%} {state}")
        elif event == "evaluation":
            self._print(f"held out at step {values['step']}: {evaluation_line(values)}")
        elif event in ("start", "resume"):
            self._print(
                f"{event} at step {values['step']}: {values['model']}, "
                f"{values['parameters']:,} parameters, {values['precision']} on "
                f"{values['device']}, {values['threads']} threads; "
                f"{values['flops_per_token'] / 1e6:,.0f} MFLOP a token, products reach "
                f"{values['ceiling'] / 1e9:,.0f} GFLOP/s"
            )
        elif event == "warning":
            self._print(f"warning: {values['message']}")

    def _print(self, text: str) -> None:
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)


def evaluation_line(values: dict) -> str:
    """A held-out evaluation in one line."""
    line = f"masked-LM loss {values['mlm_loss']:.3f}"
    if values["unigram_loss"] is not None:
        below = values["unigram_loss"] - values["mlm_loss"]
        side = "below" if below >= 0 else "above"
        line += f" ({abs(below):.3f} nats {side} the unigram baseline {values['unigram_loss']:.3f})"
    line += f", accuracy {values['mlm_accuracy']:.3f}"
    if values["sentence_accuracy"] is not None:
        low, high = values["sentence_interval"]
        line += f", sentence accuracy {values['sentence_accuracy']:.3f} [{low:.3f}, {high:.3f}]"
    return line


def _state(values: dict) -> str:
    text = f"loss {values['mlm_loss']:.3f} acc {values['mlm_accuracy']:.3f}"
    if "sentence_accuracy" in values:
        text += f" order {values['sentence_accuracy']:.3f}"
    speed = f"{values['tokens_per_second']:,.0f} tokens/s, {values['utilisation']:.0%} of products"
    return f"{text} {speed}"
