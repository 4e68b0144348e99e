"""Writes a prepared corpus: whole documents into shards of about equal size, index.json last.

Every file is written under a temporary name, flushed to the disk and renamed, so that a crash or a
full disk leaves either nothing readable or everything. Reading is in shards.py.
"""

import contextlib
import errno
import hashlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from litebert.errors import InputError
from litebert.files import sync_directory
from litebert.manifest import hashes_of, seal
from litebert.text.shards import COUNTS, FORMAT, INDEX, VERSION
from litebert.text.tokenizer import Tokenizer

SHARD_BYTES = 64 << 20


class ShardWriter:
    """Takes documents in order and writes shards; the cuts do not depend on how they come in."""

    def __init__(
        self,
        directory: str | Path,
        *,
        tokenizer: Tokenizer,
        shard_bytes: int = SHARD_BYTES,
    ) -> None:
        """`shard_bytes` of token ids close a shard at the next end of a document.

        Raises InputError when the directory exists and is not empty.
        """
        self._directory = claim_directory(directory)
        self._tokenizer = tokenizer
        self._dtype = _dtype(tokenizer)
        self._limit = max(1, shard_bytes // self._dtype.itemsize)
        self._entries: list[dict[str, Any]] = []
        self._tokens: list[np.ndarray] = []
        self._lengths: list[np.ndarray] = []
        self._paragraphs: list[np.ndarray] = []
        self._documents: list[np.ndarray] = []
        self._held = 0
        self.dropped_segments = 0
        self.dropped_documents = 0

    def add(
        self,
        tokens: np.ndarray,
        *,
        segment_lengths: np.ndarray,
        paragraph_segments: np.ndarray,
        document_paragraphs: np.ndarray,
    ) -> None:
        """Append documents: ids end to end, counts of tokens, of segments and of paragraphs.

        Segments without tokens are dropped, then paragraphs and documents without segments.
        Raises InputError when the disk is full.
        """
        filled = segment_lengths > 0
        paragraph_of = np.repeat(np.arange(len(paragraph_segments)), paragraph_segments)
        document_of = np.repeat(np.arange(len(document_paragraphs)), document_paragraphs)
        in_paragraph = np.bincount(paragraph_of[filled], minlength=len(paragraph_segments))
        counts = np.bincount(document_of, in_paragraph, len(document_paragraphs)).astype(np.int64)
        self.dropped_segments += int((~filled).sum())
        self.dropped_documents += int((counts == 0).sum())
        lengths, counts = segment_lengths[filled], counts[counts > 0]
        in_paragraph = in_paragraph[in_paragraph > 0]
        paragraph_ends = np.cumsum(in_paragraph, dtype=np.int64)
        segment_ends = np.cumsum(lengths, dtype=np.int64)
        document_segment_ends = np.cumsum(counts, dtype=np.int64)
        document_ends = segment_ends[document_segment_ends - 1]
        token, segment, paragraph, document = 0, 0, 0, 0
        while document < len(counts):
            # The first document whose end reaches the limit is the last one of its shard.
            wanted = self._limit - self._held + token
            last = min(int(np.searchsorted(document_ends, wanted)), len(counts) - 1)
            token_end, segment_end = int(document_ends[last]), int(document_segment_ends[last])
            self._tokens.append(tokens[token:token_end].astype(self._dtype))
            self._lengths.append(lengths[segment:segment_end])
            paragraph_end = int(np.searchsorted(paragraph_ends, segment_end)) + 1
            self._paragraphs.append(in_paragraph[paragraph:paragraph_end])
            self._documents.append(counts[document : last + 1])
            self._held += token_end - token
            token, segment, paragraph = token_end, segment_end, paragraph_end
            document = last + 1
            if self._held >= self._limit:
                self._flush()

    def close(self, *, may_be_empty: bool = False) -> None:
        """Write what is held, the tokenizer, and then index.json: now the corpus can be opened.

        Raises InputError when the disk is full, or no document had any token unless it may be so.
        """
        if self._held:
            self._flush()
        dropped = {
            "dropped_segments": self.dropped_segments,
            "dropped_documents": self.dropped_documents,
        }
        if self._entries or not may_be_empty:
            write_index(
                self._directory, tokenizer=self._tokenizer, entries=self._entries, dropped=dropped
            )
        else:
            _write(self._directory, INDEX, seal({"shards": [], **dropped}))

    def abort(self) -> None:
        """Delete what was written so far, so that the directory can be used again."""
        for file in self._directory.glob("*.safetensors*"):
            with contextlib.suppress(OSError):
                file.unlink()
        shutil.rmtree(self._directory / "tokenizer", ignore_errors=True)

    def _flush(self) -> None:
        arrays = {
            "tokens": np.concatenate(self._tokens),
            "segments": _offsets(np.concatenate(self._lengths)),
            "paragraphs": _offsets(np.concatenate(self._paragraphs)),
            "documents": _offsets(np.concatenate(self._documents)),
        }
        name = f"shard-{len(self._entries):05d}.safetensors"
        content = save(arrays)
        _write(self._directory, name, content)
        self._entries.append(
            {
                "file": name,
                "sha256": hashlib.sha256(content).hexdigest(),
                "bytes": len(content),
                **{count: len(arrays[count]) - (count != "tokens") for count in COUNTS},
            }
        )
        self._tokens, self._lengths, self._paragraphs, self._documents = [], [], [], []
        self._held = 0


def claim_directory(directory: str | Path) -> Path:
    """Make a directory for shards; raises InputError when it exists and is not empty."""
    directory = Path(directory)
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"{directory}: exists and is not empty; give a new directory")
    directory.mkdir(parents=True, exist_ok=True)
    return directory


def write_index(
    directory: Path,
    *,
    tokenizer: Tokenizer,
    entries: list[dict[str, Any]],
    dropped: dict[str, int],
) -> None:
    """Write the tokenizer and then index.json, which makes a corpus of the shards in a directory.

    Raises InputError when there are none, or the disk is full.
    """
    if not entries:
        raise InputError("no text: every document is empty; nothing was prepared")
    head = {
        "format": FORMAT,
        "version": VERSION,
        "vocab_size": tokenizer.vocab_size,
        "special": tokenizer.special,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "dtype": _dtype(tokenizer).name,
    }
    totals = {count: sum(entry[count] for entry in entries) for count in COUNTS}
    with _full_disk_named(directory):
        tokenizer.save(directory / "tokenizer")
    files = {"tokenizer_files": hashes_of(directory / "tokenizer"), "shards": entries}
    _write(directory, INDEX, seal(head | totals | dropped | files))


def _dtype(tokenizer: Tokenizer) -> np.dtype:
    return np.dtype(np.uint16 if tokenizer.vocab_size <= 65_535 else np.uint32)


def _write(directory: Path, name: str, content: bytes) -> None:
    temporary = directory / f"{name}.part"
    with _full_disk_named(directory):
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(directory / name)
        sync_directory(directory)


@contextlib.contextmanager
def _full_disk_named(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise InputError(f"{directory}: the disk is full; free some space and try again") from None


def _offsets(lengths: np.ndarray) -> np.ndarray:
    offsets = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    return offsets
