"""A wish to stop: the first Ctrl-C or SIGTERM means "finish this step, save, and stop"."""

import signal
import time


class StopRequest:
    """True once a signal has asked to stop; listens while it is entered as a context.

    A second signal, a second or more after the first, interrupts at once.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._asked_at = 0.0
        self._before: dict[int, signal._HANDLER] = {}

    def __bool__(self) -> bool:
        return self.signal is not None

    def __enter__(self) -> "StopRequest":
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._ask)
        return self

    def __exit__(self, *error: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: object) -> None:
        # a launcher passes on what its terminal already sent: twice at once is one signal
        if self.signal is None:
            self.signal, self._asked_at = number, time.monotonic()
        elif time.monotonic() - self._asked_at > 1:
            raise KeyboardInterrupt
