"""Text files, plain, .gz or .zst, as blocks of whole lines; faults are named with their byte."""

import gzip
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import zstandard

from litebert.errors import InputError

_BLOCK = 1 << 20


def read_blocks(path: Path, on_read: Callable[[int], None]) -> Iterator[tuple[int, str]]:
    """Blocks of about 1 MiB of whole lines: (offset of the first byte, text).

    Offsets count uncompressed bytes. `on_read` gets the bytes taken from the disk.

    Raises InputError when a byte is not UTF-8, is NUL, or the compression is damaged.
    """
    offset, left = 0, b""
    with path.open("rb") as raw:
        position = 0
        for data in _decompress(path, raw):
            data = left + data
            cut = data.rfind(b"\n") + 1
            block, left = data[:cut], data[cut:]
            if block:
                yield offset, _decode(block, path, offset)
                offset += len(block)
            on_read(raw.tell() - position)
            position = raw.tell()
    if left:
        yield offset, _decode(left, path, offset)


def _decode(block: bytes, path: Path, offset: int) -> str:
    if (nul := block.find(b"\0")) >= 0:
        raise InputError(f"{path}: byte {offset + nul} is NUL: no text file; give UTF-8 text")
    try:
        return block.decode("utf-8-sig" if offset == 0 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: byte {offset + error.start} is not UTF-8 ({error.reason}); convert the file"
        ) from None


def _decompress(path: Path, raw: BinaryIO) -> Iterator[bytes]:
    read = 0
    try:
        if path.suffix == ".zst":
            stream = _frames(raw)
        else:
            file = gzip.GzipFile(fileobj=raw) if path.suffix == ".gz" else raw
            stream = iter(lambda: file.read(_BLOCK), b"")
        for data in stream:
            read += len(data)
            yield data
    except (EOFError, zlib.error, gzip.BadGzipFile, zstandard.ZstdError) as error:
        raise InputError(
            f"{path}: compression is damaged after byte {read} of text ({error}); fetch it again"
        ) from None


def _frames(raw: BinaryIO) -> Iterator[bytes]:
    # The library's own reader takes the end of a cut-off file for the end of its text.
    frame = zstandard.ZstdDecompressor().decompressobj()
    begun = False
    while data := raw.read(_BLOCK // 4):
        while data:
            if frame.eof:
                frame = zstandard.ZstdDecompressor().decompressobj()
            yield frame.decompress(data)
            begun, data = True, frame.unused_data
    if begun and not frame.eof:
        raise EOFError("the file ends inside a frame")
