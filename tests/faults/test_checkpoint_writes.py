"""A kill, or a fault of the disk, at any call that writes a checkpoint leaves a complete one."""

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import tiny_checkpoints
from litebert import InputError
from litebert.train import checkpoint
from tiny_checkpoints import Trainee, at_step, same


class Crash(BaseException):
    """A kill: nothing may catch it."""


FAULTS = {
    "kill": Crash(),
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "broken": OSError(errno.EIO, "Input/output error"),
}


def inject(monkeypatch, fault: BaseException, at: int) -> list[int]:
    """Raise at the `at`-th place: before and after each call, and in the middle of a write.

    Returns a list whose one element counts the places passed.
    """
    passed = [0]

    def place() -> None:
        passed[0] += 1
        if passed[0] == at:
            raise fault

    def guarded(real):
        def call(*args, **kwargs):
            place()
            result = real(*args, **kwargs)
            place()
            return result

        return call

    real_save, real_text, real_bytes = checkpoint.save_file, Path.write_text, Path.write_bytes

    def save_file(tensors, path):
        place()
        real_save(tensors, path)
        content = path.read_bytes()
        real_bytes(path, content[: len(content) // 2])
        place()
        real_bytes(path, content)
        place()

    def in_halves(real):
        def write(path, content):
            place()
            real(path, content[: len(content) // 2])
            place()
            real(path, content)
            place()

        return write

    def rmtree(path, ignore_errors=False):
        """File by file, so that a fault leaves half a directory."""
        try:
            for file in sorted(path.iterdir()):
                place()
                file.unlink()
            place()
            path.rmdir()
        except OSError:
            if not ignore_errors:
                raise

    monkeypatch.setattr(checkpoint, "save_file", save_file)
    monkeypatch.setattr(Path, "write_text", in_halves(real_text))
    monkeypatch.setattr(Path, "write_bytes", in_halves(real_bytes))
    monkeypatch.setattr(shutil, "rmtree", rmtree)
    for name in ("fsync", "rename", "mkdir"):
        monkeypatch.setattr(os, name, guarded(getattr(os, name)))
    return passed


@contextlib.contextmanager
def one_line(fault: BaseException):
    """An InputError that comes out is the fault, told in one line."""
    try:
        yield
    except InputError as error:
        told = str(error)
    else:
        return
    assert fault.strerror in told
    assert "\n" not in told


@pytest.mark.parametrize("kind", FAULTS)
def test_fault_at_any_call_leaves_the_newest_or_the_one_before(tmp_path, monkeypatch, kind):
    before, after = at_step(1), at_step(2)
    outcomes = []
    for number in range(1, 1000):
        directory = tmp_path / str(number)
        before.save(directory, 1, keep=1)
        with monkeypatch.context() as patched:
            passed = inject(patched, FAULTS[kind], number)
            with contextlib.suppress(Crash), one_line(FAULTS[kind]):
                after.save(directory, 2, keep=1)
        loaded = Trainee(seed=1)
        state, _ = loaded.load(directory)
        outcomes.append(state["step"])
        assert same(loaded, {1: before, 2: after}[state["step"]])
        # and the next one can be written, whatever lies around
        at_step(3).save(directory, 3, keep=1)
        assert [path.name for path in directory.iterdir()] == ["step-00000003"]
        if passed[0] < number:
            break
    assert passed[0] < number
    # a folder that exists and cannot be made is no fault
    assert kind != "kill" or outcomes == sorted(outcomes), "a later kill brought an older one"
    assert outcomes.count(1) > 15, "faults before the rename were not injected"
    assert outcomes.count(2) > 5, "faults after the rename were not injected"


FILL = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from tiny_checkpoints import Trainee
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
        folder = str(Path(tiny_checkpoints.__file__).parent)
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
