"""events.jsonl: everything a run has to say, one JSON object a line; other views are made from it.

Each line has an `event` (start, step, evaluation, checkpoint, resume, end) and the numbers of that
moment. TensorBoard is a sink of the same events.
"""

import json
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.files import write_atomically


class EventLog:
    """Appends events to a file and, if asked, mirrors their numbers for TensorBoard."""

    def __init__(
        self, directory: Path, *, tensorboard: bool = False, resume_step: int | None = None
    ):
        self.path = directory / "events.jsonl"
        if resume_step is not None:
            _forget_after(self.path, resume_step)
        self._file = self.path.open("a", encoding="utf-8")
        self._board = None
        if tensorboard:
            from torch.utils.tensorboard.writer import SummaryWriter

            self._board = SummaryWriter(directory / "tensorboard", purge_step=resume_step)

    def write(self, event: str, **values: Any) -> None:
        """Append one event; numbers of events that have a `step` also go to TensorBoard."""
        json.dump({"event": event, **values}, self._file)
        self._file.write("\n")
        self._file.flush()
        if self._board is not None and event in ("step", "evaluation"):
            for name, value in values.items():
                if isinstance(value, (int, float)) and name != "step":
                    self._board.add_scalar(f"{event}/{name}", value, values["step"])

    def close(self) -> None:
        """Close the file and the mirror."""
        self._file.close()
        if self._board is not None:
            self._board.close()


def read_events(path: Path) -> list[dict[str, Any]]:
    """All complete events of a file; a last line cut by a kill is left out.

    Raises InputError when a line in the middle is not JSON.
    """
    events = []
    try:
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    for number, line in enumerate(lines, 1):
        try:
            events.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines):
                raise InputError(f"{path}, line {number}: not a JSON event") from None
    return events


def _forget_after(path: Path, step: int) -> None:
    """Drop what an interrupted run logged after the checkpoint it goes on from."""
    if path.exists():
        kept = [
            event
            for event in read_events(path)
            # the end and the last evaluation are made again at the same step
            if event.get("step", 0) <= step and event["event"] != "end" and not event.get("last")
        ]
        text = "".join(json.dumps(event) + "\n" for event in kept)
        write_atomically(path, text.encode())
