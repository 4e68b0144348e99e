"""Files that are either whole or absent: written beside their place, synced, then renamed."""

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litebert.errors import InputError


def write_atomically(path: str | Path, content: bytes | Callable[[Path], None]) -> None:
    """Write a file so that a crash leaves the old one or the new one, never half of one.

    `content` is the bytes, or a function that writes the file whose path it is given. Folders
    above `path` are made. Writers of the same path at the same time do not mix: one of them wins.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        if callable(content):
            content(temporary)
        else:
            temporary.write_bytes(content)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_directory(path.parent)


def check_writable(path: Path) -> None:
    """Raises InputError where a file could not be written, before the work that it is to hold."""
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name a file in it")
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir():
        raise InputError(f"{path}: {above} is a file, not a folder: name another place")
    if not os.access(above, os.W_OK):
        raise InputError(f"{path}: {above} may not be written to: name another place")


def as_json(values: Any) -> bytes:
    """JSON values as the content of a file."""
    return (json.dumps(values, indent=2) + "\n").encode()


def sync_directory(path: Path) -> None:
    """Flush a folder's list of names to disk: a rename is durable only after that."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256_of(path: Path) -> str:
    """The sha256 of a file's content, in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
