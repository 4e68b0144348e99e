"""A prepared corpus on disk: token ids with their borders, hashed and memory-mapped.

The layout is in docs/design.md, "Shards on disk". index.json is written last and is the commit
record: a directory without it was interrupted and is refused. Nothing is pickled.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from litebert.errors import InputError
from litebert.manifest import find_fault, unseal

FORMAT = "litebert-shards"
VERSION = 2
INDEX = "index.json"
COUNTS = ("tokens", "segments", "paragraphs", "documents")
_EDGE = 1024
_REDO = "run 'litebert prepare' again into an empty directory"


@dataclass(frozen=True, eq=False)
class Shard:
    """One file of a prepared corpus, memory-mapped and read-only."""

    file: str
    """Name of the file in the corpus directory."""
    tokens: np.ndarray
    """(n,) uint16 or uint32: ids of all segments, end to end, without special pieces."""
    segments: np.ndarray
    """(S+1,) int64: where each segment begins in `tokens`, and n."""
    paragraphs: np.ndarray
    """(Q+1,) int64: the number of each paragraph's first segment, and S."""
    documents: np.ndarray
    """(D+1,) int64: the number of each document's first segment, and S."""


@dataclass(frozen=True, eq=False)
class Shards:
    """A prepared corpus; made by `litebert prepare`, opened with `Shards.open`."""

    path: Path
    index: dict[str, Any]
    """What index.json says."""
    shards: list[Shard]

    @classmethod
    def open(cls, path: str | Path) -> "Shards":
        """Open a prepared corpus without reading it all: index, tokenizer, sizes and borders.

        Memory is that of the pages touched later. `verify` checks every byte.

        Raises InputError when the directory was interrupted, is of another version or damaged.
        """
        path = Path(path)
        index = _read_index(path)
        if fault := find_fault(path / "tokenizer", index["tokenizer_files"]):
            raise InputError(f"{fault}; {_REDO}")
        shards = [_open_shard(path, entry, dtype=index["dtype"]) for entry in index["shards"]]
        return cls(path, index, shards)

    def __reduce__(self) -> tuple[Any, ...]:
        """A worker process opens the corpus anew: sent over, the mapped arrays would be copied."""
        return Shards.open, (self.path,)

    @property
    def vocab_size(self) -> int:
        """V of the tokenizer that made the ids."""
        return self.index["vocab_size"]

    @property
    def special(self) -> dict[str, int]:
        """Ids of the special pieces by name: pad, unk, cls, sep, mask."""
        return self.index["special"]

    @property
    def fingerprint(self) -> str:
        """`Tokenizer.fingerprint` of the tokenizer that made the ids."""
        return self.index["tokenizer_fingerprint"]

    @property
    def tokenizer_path(self) -> Path:
        """The directory of the tokenizer that made the ids."""
        return self.path / "tokenizer"

    @property
    def num_tokens(self) -> int:
        """Tokens of all shards."""
        return self.index["tokens"]

    @property
    def num_segments(self) -> int:
        """Segments of all shards."""
        return self.index["segments"]

    @property
    def num_documents(self) -> int:
        """Documents of all shards."""
        return self.index["documents"]


def verify(path: str | Path) -> Shards:
    """Check every byte of a prepared corpus against the hashes of index.json.

    Raises InputError naming the first file that is missing, cut off or altered.
    """
    path = Path(path)
    shards = Shards.open(path)
    hashes = {entry["file"]: entry["sha256"] for entry in shards.index["shards"]}
    if fault := find_fault(path, hashes):
        raise InputError(f"{fault}; {_REDO}")
    return shards


def _read_index(path: Path) -> dict[str, Any]:
    file = path / INDEX
    if not file.exists():
        what = "its preparation was interrupted" if path.is_dir() else "no such directory"
        raise InputError(f"{path}: no prepared corpus ({what}); {_REDO}")
    try:
        content = file.read_bytes()
        index = json.loads(content)
        if index["format"] != FORMAT or index["version"] != VERSION:
            raise InputError(
                f"{file}: format {index['format']!r} version {index['version']!r}, "
                f"not {FORMAT!r} {VERSION}; {_REDO}"
            )
        return unseal(content)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{file}: damaged ({error}); {_REDO}") from None


def _open_shard(path: Path, entry: dict[str, Any], *, dtype: str) -> Shard:
    file = path / entry["file"]
    if not file.exists():
        raise InputError(f"{file}: missing, {INDEX} names it; {_REDO}")
    if (size := file.stat().st_size) != entry["bytes"]:
        raise InputError(f"{file}: {size} bytes where {INDEX} says {entry['bytes']}; {_REDO}")
    try:
        # Through torch the file is mapped; the library's NumPy path would copy it.
        with safe_open(file, framework="pt") as tensors:
            arrays = {name: tensors.get_tensor(name).numpy() for name in COUNTS}
    except SafetensorError as error:
        raise InputError(f"{file}: damaged ({error}); {_REDO}") from None
    for array in arrays.values():
        array.flags.writeable = False
    shard = Shard(entry["file"], **arrays)
    sound = (
        shard.tokens.dtype == dtype
        and all(len(arrays[name]) - (name != "tokens") == entry[name] for name in COUNTS)
        and _are_borders(shard.segments, end=len(shard.tokens))
        and _are_borders(shard.paragraphs, end=len(shard.segments) - 1)
        and _are_borders(shard.documents, end=len(shard.segments) - 1)
    )
    if not sound:
        raise InputError(f"{file}: its borders contradict {INDEX}; {_REDO}")
    return shard


def _are_borders(offsets: np.ndarray, *, end: int) -> bool:
    """Whether offsets run from 0 to `end`, rising; looked at near both ends, not to read it all."""
    if offsets.dtype != np.int64 or offsets[0] != 0 or offsets[-1] != end:
        return False
    return all((np.diff(edge) > 0).all() for edge in (offsets[:_EDGE], offsets[-_EDGE:]))
