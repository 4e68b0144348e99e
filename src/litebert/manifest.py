"""A manifest: the file of a directory that is written last and holds the hashes of the others.

It is sealed, its own hash being its last entry, so that no change of any byte goes unseen. Prepared
corpora (index.json) and checkpoints (manifest.json) are directories of this kind.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from litebert.files import as_json, sha256_of

_SEAL = "sha256"


def seal(values: Mapping[str, Any]) -> bytes:
    """The values as indented JSON, with the hash of that JSON as one entry more."""
    assert _SEAL not in values
    return as_json({**values, _SEAL: hashlib.sha256(as_json(values)).hexdigest()})


def unseal(content: bytes) -> dict[str, Any]:
    """What was sealed. Raises ValueError when one byte is not as `seal` wrote it."""
    values = json.loads(content)
    if not isinstance(values, dict) or _SEAL not in values:
        raise ValueError(f"it has no {_SEAL} of its own")
    del values[_SEAL]
    if seal(values) != content:
        raise ValueError(f"it does not have its own {_SEAL}")
    return values


def hashes_of(directory: Path) -> dict[str, str]:
    """The sha256 of every file in a directory, by name; empty when there is no directory."""
    return {path.name: sha256_of(path) for path in sorted(directory.glob("*"))}


def find_fault(directory: Path, hashes: Mapping[str, str]) -> str | None:
    """What is wrong with the first file that is missing or altered; None when all are right."""
    for name, expected in hashes.items():
        path = directory / name
        try:
            if sha256_of(path) != expected:
                return f"{path} does not have the sha256 {expected[:12]}... it was written with"
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}"
    return None
