"""A text a line, from a file or standard input."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from litebert.errors import InputError


def typed_lines() -> Iterator[str]:
    """Lines of standard input, as they come; see `file_lines`."""
    return _lines(sys.stdin.buffer, "standard input")


def file_lines(path: Path) -> Iterator[str]:
    """Lines of a file in UTF-8, without their ends; only a newline ends one.

    Raises InputError for a file that cannot be read, and for a line that is not UTF-8.
    """
    try:
        return _lines(path.open("rb"), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from None


def _lines(file: IO[bytes], name: str) -> Iterator[str]:
    for number, line in enumerate(file, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            raise InputError(f"{name}:{number}: text that is not UTF-8: convert it") from None
