"""Commands run many at once, each on a core of its own with one thread."""

import os
import subprocess
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue
from typing import TypeVar

Result = TypeVar("Result")


class Cores:
    """So many places to run; with one, a command has the whole machine and all its threads."""

    def __init__(self, count: int):
        self._pinned = count > 1
        self._free: Queue[int] = Queue()
        for core in range(count):
            self._free.put(core)
        self._pool = ThreadPoolExecutor(count)

    def submit(self, work: Callable[..., Result], *given: object, **named: object) -> Future:
        """Call `work` in its turn: at most so many calls at once as there are places."""
        return self._pool.submit(work, *given, **named)

    def run(self, command: list[str], **options: object) -> str:
        """Run a command on a free core and return what it printed; its failure is raised."""
        environment = dict(os.environ)
        core = self._free.get()
        if self._pinned:
            command = ["taskset", "-c", str(core), *command]
            environment["OMP_NUM_THREADS"] = "1"
        try:
            done = subprocess.run(
                command, env=environment, check=True, stdout=subprocess.PIPE, text=True, **options
            )
        finally:
            self._free.put(core)
        return done.stdout
