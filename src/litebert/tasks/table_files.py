"""Rows of CSV, TSV, JSONL and Parquet files as mappings from column to value, bad rows named.

CSV is read with quotes as RFC 4180 has them, TSV without any as GLUE has it. Text is UTF-8.
"""

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.tasks.problems import Problems

LEFT_OUT = "left out"
SUFFIXES = (".csv", ".tsv", ".jsonl", ".json", ".parquet")

Row = tuple[str, dict[str, Any]]
"""Place (file:line) and values by column."""


def read_rows(
    path: Path, problems: Problems, *, columns: Sequence[str] | None = None
) -> Iterator[Row]:
    """The rows of a file, in order; the suffix tells the format.

    `columns` names the columns of a CSV or TSV file that has no header line. Raises InputError for
    a missing, empty or unreadable file; single bad rows are reported to `problems` and left out.
    """
    if path.is_dir():
        raise InputError(f"{path}: is a folder: name a file in it")
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    if path.suffix not in SUFFIXES:
        raise InputError(f"{path}: not one of {', '.join(SUFFIXES)}: convert it, or rename it")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path}: may not be read: check its permissions")
    if not path.stat().st_size:
        raise InputError(f"{path}: is empty: check the path, or write it again")
    if path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix in (".jsonl", ".json"):
        with path.open("rb") as lines:
            yield from read_json_lines(lines, str(path), problems)
    else:
        yield from _delimited(path, problems, columns)


def most_rows(path: Path) -> int | None:
    """How many rows a file has at most, its lines; None where only reading it would tell."""
    if path.suffix == ".parquet" or not path.is_file():
        return None
    with path.open("rb") as file:
        return sum(piece.count(b"\n") for piece in iter(lambda: file.read(1 << 20), b""))


def _delimited(path: Path, problems: Problems, columns: Sequence[str] | None) -> Iterator[Row]:
    quoted = path.suffix == ".csv"
    csv.field_size_limit(1 << 30)
    # A text file of old times ends lines with \r; the csv module wants to see line ends itself.
    with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
        reader = csv.reader(
            file,
            delimiter="," if quoted else "\t",
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            strict=quoted,
        )
        header = list(columns) if columns else None
        while True:
            begin = reader.line_num + 1
            place = f"{path}:{begin}"
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    raise InputError(f"{place}: a quote opens here and never closes") from None
                lines = f"{place} to {reader.line_num}" if reader.line_num > begin else place
                for line in range(begin, reader.line_num + 1):  # a quote may swallow many
                    problems.report(f"{path}:{line}", "broken quotes", found=f"{error}, {lines}",
                                    done=LEFT_OUT)  # fmt: skip
                continue
            if not fields:  # an empty line
                continue
            if any(not _is_unicode(value) for value in fields):
                problems.report(place, "text that is not UTF-8", done=LEFT_OUT)
            elif header is None:
                header = _checked_header(fields, place)
            elif len(fields) != len(header):
                what = f"another number of columns than the {len(header)} of the header"
                problems.report(place, what, found=len(fields), done=LEFT_OUT)
            else:
                yield place, dict(zip(header, fields, strict=True))


def _checked_header(fields: list[str], place: str) -> list[str]:
    twice = {name for name in fields if fields.count(name) > 1}
    if twice:
        raise InputError(f"{place}: the column {twice.pop()!r} is there twice: rename one")
    return fields


def read_json_lines(lines: Iterable[bytes], source: str, problems: Problems) -> Iterator[Row]:
    """The objects of JSON lines as rows; `source` names them in messages."""
    for number, line in enumerate(lines, 1):
        place = f"{source}:{number}"
        if not line.strip():
            continue
        try:
            values = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            problems.report(place, "text that is not UTF-8", done=LEFT_OUT)
            continue
        except json.JSONDecodeError as error:
            problems.report(place, "broken JSON", found=str(error), done=LEFT_OUT)
            continue
        if isinstance(values, dict):
            yield place, values
        else:
            what = "JSON that is no object of column names and values"
            problems.report(place, what, found=values, done=LEFT_OUT)


def _parquet(path: Path) -> Iterator[Row]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise InputError(f"{path}: Parquet files need: pip install 'litebert[data]'") from None
    number = 0
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches():
            for values in batch.to_pylist():
                number += 1
                yield f"{path}:{number}", values
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is no Parquet file, or a damaged one: {error}") from None


def _is_unicode(text: str) -> bool:
    """Whether a text read with surrogateescape was UTF-8."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
