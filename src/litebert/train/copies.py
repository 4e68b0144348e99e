"""Copies of a run's checkpoints on object storage, for machines that may be gone tomorrow.

The run directory stays the first place: a checkpoint is complete there before it is copied, with
the recipe and the events beside it, so that another machine can go on as if it were this one.
"""

import shutil
from collections.abc import Callable
from pathlib import Path

from litebert.errors import InputError
from litebert.files import write_atomically
from litebert.remote import RemoteDirectory
from litebert.train.checkpoint import MANIFEST, checkpoint_directories
from litebert.train.recipe import RunSettings

_BESIDE = ("recipe.yaml", "events.jsonl")


class RunCopies:
    """The copies of one run directory at one URL."""

    def __init__(self, output: Path, url: str, *, keep: int):
        """Keeps the newest `keep` checkpoints there. Raises InputError for a URL of no storage."""
        self.output, self.keep = output, keep
        self.remote = RemoteDirectory(url)

    def put(self, checkpoint: Path) -> None:
        """Copy a complete checkpoint, and what belongs to it, and delete those before."""
        for name in _BESIDE:
            if (self.output / name).is_file():
                self.remote.write(name, (self.output / name).read_bytes())
        place = self.remote / "checkpoints"
        (place / checkpoint.name).put(checkpoint, manifest=MANIFEST)
        for name in self._checkpoints()[self.keep :]:
            (place / name).delete()

    def bring_back(self, on_warning: Callable[[str], None] = lambda message: None) -> bool:
        """Fetch the newest checkpoint when the run directory has none; False when there is none.

        A damaged one is passed over with a warning.
        """
        local = self.output / "checkpoints"
        if checkpoint_directories(local):
            return True
        for name in self._checkpoints():
            remote = self.remote / "checkpoints" / name
            try:
                manifest = remote.manifest(MANIFEST)
                if manifest is None:
                    continue  # its copying was interrupted
                local.mkdir(parents=True, exist_ok=True)
                remote.fetch(local / name, hashes=manifest["files"], manifest=MANIFEST)
                for beside in _BESIDE:
                    if (content := self.remote.read(beside)) is not None:
                        write_atomically(self.output / beside, content)
            except (InputError, FileNotFoundError) as error:
                shutil.rmtree(local / name, ignore_errors=True)
                on_warning(f"{error}; trying the checkpoint before")
                continue
            return True
        return False

    def _checkpoints(self) -> list[str]:
        names = (self.remote / "checkpoints").names()
        return sorted((name for name in names if name.startswith("step-")), reverse=True)


def copies_of(settings: RunSettings) -> RunCopies | None:
    """The copies that a run's settings ask for."""
    if settings.copy_to is None:
        return None
    return RunCopies(settings.output, settings.copy_to, keep=settings.keep_checkpoints)
