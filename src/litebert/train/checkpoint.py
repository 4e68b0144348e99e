"""Checkpoints that survive a kill at any moment: a directory is complete or it does not exist.

model.safetensors, optimizer.safetensors and state.json are written to a temporary directory with a
manifest of their hashes, flushed to disk, and renamed into place. Nothing is pickled.
"""

import json
import os
import shutil
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from litebert.errors import InputError
from litebert.files import sync_directory
from litebert.manifest import find_fault, hashes_of, seal, unseal

MANIFEST = "manifest.json"


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The tensors and the state of one moment of a run, in host memory."""

    weights: dict[str, Tensor]
    optimizer: dict[str, Tensor]
    state: dict[str, Any]
    """JSON with at least `step`."""


def take_snapshot(
    model: nn.Module, optimizers: list[Optimizer], state: dict[str, Any], *, copy: bool = True
) -> Snapshot:
    """What a checkpoint stores, as it is now.

    Without `copy` tensors on the host are shared with the model: for writing at once.
    """

    def on_host(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor.detach().to("cpu", copy=copy).contiguous()
            for name, tensor in tensors.items()
        }

    return Snapshot(
        weights=on_host(model.state_dict()),
        optimizer=on_host(optimizer_tensors(model, optimizers)),
        state=state,
    )


def write_checkpoint(directory: Path, snapshot: Snapshot, *, keep: int) -> Path:
    """Write `directory/step-NNNNNNNN`; of the others keep the `keep - 1` newest before it.

    Raises InputError when the disk is full; older checkpoints are then untouched.
    """
    target = directory / f"step-{snapshot.state['step']:08d}"
    temporary = directory / f".{target.name}.tmp"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for unfinished in directory.glob(".step-*.tmp"):  # left by kills
            shutil.rmtree(unfinished)
        temporary.mkdir()
        save_file(snapshot.weights, temporary / "model.safetensors")
        save_file(snapshot.optimizer, temporary / "optimizer.safetensors")
        (temporary / "state.json").write_text(json.dumps(snapshot.state))
        manifest = seal({"files": hashes_of(temporary)})
        (temporary / MANIFEST).write_bytes(manifest)
        for path in temporary.iterdir():
            _sync(path)
        sync_directory(temporary)
        shutil.rmtree(target, ignore_errors=True)
        os.rename(temporary, target)
        sync_directory(directory)
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise InputError(
            f"cannot write checkpoint {target}: {error}; older checkpoints are kept: "
            f"free space and use --resume"
        ) from None
    complete = checkpoint_directories(directory)
    # one of a later step was damaged, or this run would have gone on from it
    newer = complete.index(target)
    for other in complete[:newer] + complete[newer + keep :]:
        # one that cannot be deleted now is deleted with the next
        shutil.rmtree(other, ignore_errors=True)
    return target


class CheckpointWriter:
    """Writes checkpoints behind the run's back: a step waits for the copy in memory, not the disk.

    One checkpoint is written at a time; the next one waits for it.
    """

    def __init__(
        self, directory: Path, *, keep: int, then: Callable[[Path], None] = lambda path: None
    ):
        """`then` is called in the same thread with every checkpoint that is complete."""
        self.directory, self.keep, self.then = directory, keep, then
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[Path] | None = None

    def submit(self, snapshot: Snapshot) -> None:
        """Begin to write a snapshot; `finished` must have taken the one before."""
        assert self._pending is None, "a checkpoint is still being written"
        self._pending = self._pool.submit(self._write, snapshot)

    def _write(self, snapshot: Snapshot) -> Path:
        path = write_checkpoint(self.directory, snapshot, keep=self.keep)
        self.then(path)
        return path

    def finished(self, *, wait: bool) -> Path | None:
        """The checkpoint that was submitted, once: None when there is none or it is not yet there.

        Raises what `write_checkpoint` and `then` raise.
        """
        if self._pending is None or not (wait or self._pending.done()):
            return None
        pending, self._pending = self._pending, None
        return pending.result()


def checkpoint_directories(directory: Path) -> list[Path]:
    """Complete checkpoints, newest first."""
    return sorted(directory.glob("step-*"), reverse=True)


def newest_step(directory: Path) -> int:
    """The step of the newest complete checkpoint, 0 when there is none."""
    return max(
        (int(path.name.removeprefix("step-")) for path in directory.glob("step-*")), default=0
    )


def load_newest_checkpoint(
    directory: Path, *, model: nn.Module, optimizers: list[Optimizer]
) -> tuple[dict[str, Any], list[str]]:
    """Restore the newest checkpoint whose hashes are right: its state, warnings on skipped ones.

    Raises InputError when there is none, or when its tensors do not fit model and optimizers.
    """
    warnings = []
    for path in checkpoint_directories(directory):
        fault = verify_checkpoint(path)
        if fault is None:
            return _restore(path, model, optimizers), warnings
        warnings.append(f"checkpoint {path} is damaged ({fault}); trying the one before")
    damaged = f": {'; '.join(warnings)}" if warnings else ""
    raise InputError(f"no complete checkpoint in {directory}{damaged}; start without --resume")


def verify_checkpoint(path: Path) -> str | None:
    """What is wrong with a checkpoint, naming the file; None when every hash is right."""
    try:
        hashes = unseal((path / MANIFEST).read_bytes())["files"]
    except (OSError, ValueError) as error:
        return f"{path / MANIFEST} cannot be read: {error}"
    return find_fault(path, hashes)


def _restore(path: Path, model: nn.Module, optimizers: list[Optimizer]) -> dict[str, Any]:
    state = json.loads((path / "state.json").read_text())
    weights = load_file(path / "model.safetensors")
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        odd = sorted(dict(expected.items() ^ found.items()))
        raise InputError(f"checkpoint {path} is of another model: {', '.join(odd[:5])} differ")
    model.load_state_dict(weights)
    left = set_optimizer_tensors(model, optimizers, load_file(path / "optimizer.safetensors"))
    if left:
        raise InputError(f"checkpoint {path} has optimizer state for unknown {left[:5]}")
    return state


def optimizer_tensors(model: nn.Module, optimizers: list[Optimizer]) -> dict[str, Tensor]:
    """The state of all optimizers as `parameter/key`."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value
        for optimizer in optimizers
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }


def set_optimizer_tensors(
    model: nn.Module, optimizers: list[Optimizer], tensors: dict[str, Tensor]
) -> list[str]:
    """Replace the state of all optimizers; returns the names that belong to no parameter."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    left = dict(tensors)
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            prefix = f"{names[id(parameter)]}/"
            mine = {k[len(prefix) :]: left.pop(k) for k in list(left) if k.startswith(prefix)}
            if mine:
                # the step count of a fused AdamW is on the device too
                optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in mine.items()}
            else:
                optimizer.state.pop(parameter, None)
    return sorted(left)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
