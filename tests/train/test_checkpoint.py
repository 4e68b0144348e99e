"""A checkpoint is whole or absent whatever kills its writer, and damage is seen before use."""

import errno
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from litebert import InputError, ModelConfig, build
from litebert.train import checkpoint
from litebert.train.checkpoint import load_newest_checkpoint, take_snapshot, write_checkpoint
from litebert.train.optimizer import build_optimizers
from litebert.train.recipe import PretrainRecipe

CONFIG = ModelConfig(
    hidden_size=16, heads=2, depth=2, inner_size=24, embedding_size=8, vocab_size=30
)
FILES = ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]


class Crash(BaseException):
    """A kill: nothing may catch it."""


class Trainee:
    """A model with its optimizers, moved by made-up gradients."""

    def __init__(self, kind: str = "muon", seed: int = 0):
        self.model = build(CONFIG, seed=seed)
        recipe = PretrainRecipe(data=Path("none"), steps=1, optimizer=kind)
        self.optimizers = build_optimizers(self.model, recipe)

    def move(self, step: int) -> None:
        generator = torch.Generator().manual_seed(step)
        for parameter in self.model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimizer in self.optimizers:
            optimizer.step()

    def save(self, directory: Path, step: int, keep: int = 2) -> Path:
        snapshot = take_snapshot(self.model, self.optimizers, {"step": step})
        return write_checkpoint(directory, snapshot, keep=keep)

    def load(self, directory: Path):
        return load_newest_checkpoint(directory, model=self.model, optimizers=self.optimizers)

    def tensors(self) -> list[torch.Tensor]:
        """Everything that a checkpoint has to bring back, in an order of its own."""
        found = [parameter.detach() for parameter in self.model.parameters()]
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    found += [value for _, value in sorted(optimizer.state[parameter].items())]
        return [tensor.clone() for tensor in found]


def same(a: Trainee, b: Trainee) -> bool:
    pairs = zip(a.tensors(), b.tensors(), strict=True)
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in pairs)


def at_step(step: int, kind: str = "muon") -> Trainee:
    trainee = Trainee(kind)
    for number in range(step):
        trainee.move(number)
    return trainee


@pytest.mark.parametrize("kind", ["muon", "adamw", "lamb"])
def test_everything_comes_back_bit_for_bit(tmp_path, kind):
    saved, loaded = at_step(3, kind), Trainee(kind, seed=1)
    saved.save(tmp_path, 3)
    assert not same_start(saved, loaded)
    assert loaded.load(tmp_path) == ({"step": 3}, [])
    assert same(saved, loaded)
    for trainee in (saved, loaded):
        trainee.move(3)
    assert same(saved, loaded)


def same_start(a: Trainee, b: Trainee) -> bool:
    pairs = zip(a.model.parameters(), b.model.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def crash_points(monkeypatch, number: int) -> list[int]:
    """Crash at the `number`-th place: before and after each call, and in the middle of a write.

    Returns a list whose one element counts the places passed.
    """
    passed = [0]

    def place() -> None:
        passed[0] += 1
        if passed[0] == number:
            raise Crash

    def guarded(real):
        def call(*args, **kwargs):
            place()
            result = real(*args, **kwargs)
            place()
            return result

        return call

    real_save, real_text = checkpoint.save_file, Path.write_text

    def save_file(tensors, path):
        place()
        real_save(tensors, path)
        content = path.read_bytes()
        path.write_bytes(content[: len(content) // 2])
        place()
        path.write_bytes(content)
        place()

    def write_text(path, text):
        place()
        real_text(path, text[: len(text) // 2])
        place()
        real_text(path, text)
        place()

    def rmtree(path, ignore_errors=False):
        """File by file, so that a crash leaves half a directory."""
        if not path.exists():
            assert ignore_errors
            return
        for file in sorted(path.iterdir()):
            place()
            file.unlink()
        place()
        path.rmdir()

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    monkeypatch.setattr(Path, "write_text", write_text)
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    for name in ("fsync", "rename", "mkdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return passed


def test_crash_at_any_call_leaves_the_newest_or_the_one_before(tmp_path, monkeypatch):
    before, after = at_step(1), at_step(2)
    outcomes = []
    for number in range(1, 1000):
        directory = tmp_path / str(number)
        before.save(directory, 1, keep=1)
        with monkeypatch.context() as patched:
            crash_points(patched, number)
            try:
                after.save(directory, 2, keep=1)
                finished = True
            except Crash:
                finished = False
        loaded = Trainee(seed=1)
        state, _ = loaded.load(directory)
        outcomes.append(state["step"])
        assert same(loaded, {1: before, 2: after}[state["step"]])
        # and the next one can be written, whatever lies around
        at_step(3).save(directory, 3, keep=1)
        assert [path.name for path in directory.iterdir()] == ["step-00000003"]
        if finished:
            break
    assert finished
    assert outcomes == sorted(outcomes), "a later crash brought an older checkpoint"
    assert outcomes.count(1) > 15, "crashes before the rename were not injected"
    assert outcomes.count(2) > 5, "crashes after the rename were not injected"


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[:-1])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["flipped", "truncated", "deleted"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_newest_falls_back_with_a_warning(tmp_path, name, how):
    at_step(1).save(tmp_path, 1)
    damage(at_step(2).save(tmp_path, 2) / name, how)
    loaded = Trainee(seed=1)
    state, warnings = loaded.load(tmp_path)
    assert state == {"step": 1}
    assert same(loaded, at_step(1))
    (warning,) = warnings
    assert "step-00000002 is damaged" in warning
    # a flipped byte of the manifest is a wrong hash or name of another file
    assert (name in warning) or (name == "manifest.json" and how == "flipped")


def test_any_flipped_bit_is_found(tmp_path):
    good = at_step(2).save(tmp_path, 2)
    draw = random.Random(0)
    for _ in range(300):
        path = good / draw.choice(FILES)
        content = path.read_bytes()
        at, bit = draw.randrange(len(content)), draw.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
        assert checkpoint.verify_checkpoint(good) is not None, (path.name, at, bit)
        path.write_bytes(content)
    assert checkpoint.verify_checkpoint(good) is None


def test_all_damaged_names_them(tmp_path):
    for step in (1, 2):
        damage(at_step(step).save(tmp_path, step) / "state.json", "truncated")
    with pytest.raises(InputError, match=r"step-00000002 .*state.json.*step-00000001 ") as caught:
        Trainee().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_new_one_outlives_a_damaged_later_one(tmp_path):
    at_step(1).save(tmp_path, 1)
    damage(at_step(5).save(tmp_path, 5) / "model.safetensors", "flipped")
    at_step(2).save(tmp_path, 2, keep=1)
    assert Trainee().load(tmp_path) == ({"step": 2}, [])


def test_the_newest_are_kept(tmp_path):
    for step in (1, 2, 10, 100):
        at_step(1).save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]


def test_checkpoint_of_another_model_is_refused(tmp_path):
    at_step(1).save(tmp_path, 1)
    other = Trainee()
    other.model = build(ModelConfig(**{**vars(CONFIG), "inner_size": 32}))
    with pytest.raises(InputError, match="another model: feed_forwards"):
        other.load(tmp_path)


@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_full_disk_is_one_line_and_keeps_the_old(tmp_path, monkeypatch, call):
    at_step(1).save(tmp_path, 1)

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, call, full)
        with pytest.raises(InputError, match=r"No space left on device.*older check") as caught:
            at_step(2).save(tmp_path, 2)
    assert "\n" not in str(caught.value)
    assert [path.name for path in tmp_path.iterdir()] == ["step-00000001"]
    assert Trainee().load(tmp_path)[0] == {"step": 1}


FILL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_checkpoint import Trainee
from litebert import InputError
trainee = Trainee()
for step in range(1, 10_000):
    trainee.move(step)
    try:
        trainee.save(Path(sys.argv[1]), step, keep=10_000)
    except InputError as error:
        print(step, error)
        break
"""


def test_really_full_disk(tmp_path):
    """On a file system of 1 MB, in a process of its own: a full disk must not kill it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        folder = str(Path(__file__).parent)
        command = [sys.executable, "-c", FILL, str(disk / "checkpoints"), folder]
        ended = subprocess.run(command, capture_output=True, text=True, check=True)
        step, _, message = ended.stdout.partition(" ")
        assert "No space left on device" in message
        assert message.count("\n") == 1
        assert int(step) > 2
        assert Trainee().load(disk / "checkpoints") == ({"step": int(step) - 1}, [])
        assert not any((disk / "checkpoints").glob(".*"))
    finally:
        subprocess.run(["umount", str(disk)], check=True)
