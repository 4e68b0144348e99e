"""The events of a fine-tuning run as a person follows them, and its scores as lines."""

from typing import Any

from litebert.cli.status_bar import StatusBar


class TaskProgress(StatusBar):
    """Shows the events of a fine-tuning run on standard error; a context manager."""

    def watch(self, event: str, values: dict[str, Any]) -> None:
        """Show one event of a run (`finetune(watch=...)`)."""
        if event in ("step", "resume"):
            self._step(values)
        elif event == "evaluation":
            scores = ", ".join(f"{name} {value:.2f}" for name, value in values["scores"].items())
            best = ", the best so far" if values["best"] else ""
            self.say(f"seed {values['seed']}, step {values['step']}: {scores}{best}")
        elif event == "task":
            rows = ", ".join(f"{count:,} {name}" for name, count in values["rows"].items())
            self.say(f"{values['task']}: {rows} rows")
        elif event == "seed":
            self.say(
                f"seed {values['seed']}: {values['steps']} steps in {values['seconds']:.0f} s, "
                f"{values['examples_per_second']:.0f} examples/s"
            )
        elif event == "warning":
            self.say(f"warning: {values['message']}")

    def _step(self, values: dict[str, Any]) -> None:
        state = f"seed {values['seed']}, {values['examples_per_second']:.0f} examples/s"
        if values["loss"] is not None:
            state += f", loss {values['loss']:.3f}"
        self.show(values["step"] / values["steps"], state)


def score_table(scores: dict[str, dict[str, dict[str, Any]]]) -> str:
    """Scores as lines: the median, and the quartiles where there are several seeds."""
    lines = []
    for split, metrics in scores.items():
        for name, value in metrics.items():
            count = len(value["values"])
            spread = f" [{value['low']:.2f}, {value['high']:.2f}] of {count} seeds"
            lines.append(f"{split} {name}: {value['median']:.2f}{spread if count > 1 else ''}")
    return "\n".join(lines)
