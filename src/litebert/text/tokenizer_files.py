"""Where a tokenizer's files come from: a directory, a tokenizer.json or the hub's cache."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tokenizers

from litebert.errors import InputError


def choose(directory: Path, *, patterns: Sequence[str]) -> Path:
    """The first file that matches, patterns in order. Raises InputError when none does."""
    for pattern in patterns:
        if found := sorted(directory.glob(pattern)):
            return found[0]
    raise InputError(f"{directory}: no {' or '.join(patterns)} in it; give a tokenizer's directory")


def read_settings(path: Path) -> dict[str, Any]:
    """The tokenizer_config.json beside a file or in a directory; empty when there is none."""
    path = (path if path.is_dir() else path.parent) / "tokenizer_config.json"
    if not path.exists():
        return {}
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path}: not JSON ({error}); write the tokenizer again") from None


def read_json(path: Path) -> tokenizers.Tokenizer:
    """The pipeline of a tokenizer.json. Raises InputError when the library refuses it."""
    try:
        return tokenizers.Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises the bare Exception
        raise InputError(f"{path}: no tokenizer.json ({error}); write it again") from None


def from_hub(name: str) -> Path:
    """The local copy of a hub repository's tokenizer files; from the cache when offline."""
    if not re.fullmatch(r"[\w.-]+(/[\w.-]+)?", name) or ("/" not in name and "." in name):
        raise InputError(f"{name}: no such file or directory; give a tokenizer's path or hub id")
    from huggingface_hub import snapshot_download

    patterns = ["tokenizer.json", "tokenizer_config.json", "*.model", "vocab.txt"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:  # offline, missing and forbidden have no common class
        reason = str(error).strip().splitlines()[0]
        raise InputError(f"{name}: neither a path nor loadable from the hub ({reason})") from None
