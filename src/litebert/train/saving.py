"""Saves and restores the state of a run: weights, optimizers, progress; one copy for all ranks.

The first rank reads and writes the files, so they may lie on its own disk; the others are given
what it has.
"""

from collections.abc import Callable
from pathlib import Path

from torch.optim import Optimizer

from litebert.errors import InputError
from litebert.model.encoder import Model
from litebert.train.checkpoint import (
    CheckpointWriter,
    checkpoint_directories,
    load_newest_checkpoint,
    take_snapshot,
)
from litebert.train.copies import RunCopies
from litebert.train.distributed import Ranks, follow_first
from litebert.train.progress import Progress
from litebert.train.recipe_file import differences


class Saving:
    """The checkpoints of one run; `progress` is changed in place when a state is restored."""

    def __init__(
        self,
        directory: Path,
        *,
        model: Model,
        optimizers: list[Optimizer],
        progress: Progress,
        recipe: str,
        ranks: Ranks,
        keep: int,
        copies: RunCopies | None,
        on_saved: Callable[[Path], None],
        on_warning: Callable[[str], None],
    ):
        self.directory, self.model, self.optimizers = directory, model, optimizers
        self.progress, self.recipe, self.ranks = progress, recipe, ranks
        self.on_saved, self.on_warning = on_saved, on_warning
        then = copies.put if copies else lambda path: None
        self.writer = CheckpointWriter(directory, keep=keep, then=then)
        self.saved_step = -1

    def save(self, *, last: bool = False) -> None:
        """Begin to save the state; the last one is waited for, and its failure is the run's.

        Raises InputError when weights are not finite: nothing can go on from such, and they would
        push out those before.
        """
        if not self.ranks.first:
            return
        self.follow_up(wait=True)
        if self.progress.step != self.saved_step:
            if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
                raise InputError(
                    f"weights are not finite at step {self.progress.step}, nothing was saved: "
                    f"check the model that the run began with"
                )
            state = {**vars(self.progress), "recipe": self.recipe}
            self.writer.submit(take_snapshot(self.model, self.optimizers, state))
            self.saved_step = self.progress.step
        if last:
            self.follow_up(wait=True, must=True)

    def follow_up(self, *, wait: bool = False, must: bool = False) -> None:
        """Tell of a checkpoint whose writing has ended since; a failed one is only a warning."""
        if not self.ranks.first:
            return
        try:
            path = self.writer.finished(wait=wait)
        except InputError as error:
            self.saved_step = -1
            if must:
                raise
            self.on_warning(str(error))
            return
        if path is not None:
            self.on_saved(path)

    def restore(self) -> bool:
        """Take the newest complete checkpoint, on all ranks; False when there is none yet.

        Raises InputError when it is of another recipe or version, or all are damaged.
        """
        self.follow_up(wait=True)
        found = self.ranks.first and bool(checkpoint_directories(self.directory))
        if found:
            self._read_newest()
        found = self.ranks.from_first(found)
        self.give_to_all()
        return found

    def give_to_all(self) -> None:
        """Give every rank the weights, optimizer state and place in the run of the first."""
        vars(self.progress).update(self.ranks.from_first(vars(self.progress)))
        follow_first(self.model, self.optimizers, self.ranks)

    def _read_newest(self) -> None:
        state, warnings = load_newest_checkpoint(
            self.directory, model=self.model, optimizers=self.optimizers
        )
        for warning in warnings:
            self.on_warning(warning)
        recipe = state.pop("recipe", None)
        if state.keys() != vars(self.progress).keys():
            raise InputError(
                f"{self.directory} was written by another version of litebert: resume with that "
                f"one, or choose another --output"
            )
        if recipe != self.recipe:
            raise InputError(
                f"{self.directory.parent} was started with another recipe "
                f"({differences(recipe or '{}', self.recipe)}): resume with its own recipe.yaml, "
                f"or choose another --output"
            )
        vars(self.progress).update(state)
        self.saved_step = self.progress.step
