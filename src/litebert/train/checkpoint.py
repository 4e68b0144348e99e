"""Checkpoints that survive a kill at any moment: a directory is complete or it does not exist.

model.safetensors, optimizer.safetensors and state.json are written to a temporary directory with a
manifest of their hashes, flushed to disk, and renamed into place. Nothing is pickled.
"""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.optim import Optimizer

from litebert.errors import InputError
from litebert.files import sha256_of, sync_directory
from litebert.model.encoder import Model

MANIFEST = "manifest.json"


def save_checkpoint(
    directory: Path,
    *,
    model: Model,
    optimizers: list[Optimizer],
    state: dict[str, Any],
    keep: int,
) -> Path:
    """Write `directory/step-NNNNNNNN`; of the others keep the `keep - 1` newest before it.

    `state` is JSON with at least `step`. Raises InputError when the disk is full; older
    checkpoints are then untouched.
    """
    target = directory / f"step-{state['step']:08d}"
    temporary = directory / f".{target.name}.tmp"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        for unfinished in directory.glob(".step-*.tmp"):  # left by kills
            shutil.rmtree(unfinished)
        temporary.mkdir()
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, temporary / "model.safetensors")
        save_file(_optimizer_tensors(model, optimizers), temporary / "optimizer.safetensors")
        (temporary / "state.json").write_text(json.dumps(state))
        hashes = {path.name: sha256_of(path) for path in sorted(temporary.iterdir())}
        (temporary / MANIFEST).write_text(json.dumps(hashes))
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
        shutil.rmtree(other)
    return target


def checkpoint_directories(directory: Path) -> list[Path]:
    """Complete checkpoints, newest first."""
    return sorted(directory.glob("step-*"), reverse=True)


def load_newest_checkpoint(
    directory: Path, *, model: Model, optimizers: list[Optimizer]
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
        hashes = json.loads((path / MANIFEST).read_text())
        for name, expected in hashes.items():
            if sha256_of(path / name) != expected:
                return f"{name} does not have the sha256 {expected[:12]}... of the manifest"
    except (OSError, ValueError, AttributeError, TypeError) as error:
        return f"{MANIFEST} or a file it names cannot be read: {error}"
    return None


def _restore(path: Path, model: Model, optimizers: list[Optimizer]) -> dict[str, Any]:
    state = json.loads((path / "state.json").read_text())
    weights = load_file(path / "model.safetensors")
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if expected != found:
        odd = sorted(dict(expected.items() ^ found.items()))
        raise InputError(f"checkpoint {path} is of another model: {', '.join(odd[:5])} differ")
    model.load_state_dict(weights)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    tensors = load_file(path / "optimizer.safetensors")
    for optimizer in optimizers:
        for parameter in (p for group in optimizer.param_groups for p in group["params"]):
            prefix = f"{names[id(parameter)]}/"
            mine = {k[len(prefix) :]: tensors.pop(k) for k in list(tensors) if k.startswith(prefix)}
            # the step count of a fused AdamW is on the device too
            optimizer.state[parameter] = {k: v.to(parameter.device) for k, v in mine.items()}
    if tensors:
        raise InputError(f"checkpoint {path} has optimizer state for unknown {sorted(tensors)[:5]}")
    return state


def _optimizer_tensors(model: Model, optimizers: list[Optimizer]) -> dict[str, torch.Tensor]:
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        f"{names[id(parameter)]}/{key}": value.contiguous()
        for optimizer in optimizers
        for parameter, values in optimizer.state.items()
        for key, value in values.items()
    }


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
