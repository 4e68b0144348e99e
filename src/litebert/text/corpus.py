"""Streams documents out of text, JSONL and Parquet files and of data sets on the hub.

A document is a list of paragraphs, a paragraph a list of segments. In plain text a blank line ends
a document (Google's corpus format, create_pretraining_data.py); a row of JSONL, Parquet or a data
set is a document. Lines are paragraphs, split into sentences unless `segments="lines"`.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

from litebert.errors import InputError
from litebert.text.sentences import split_sentences
from litebert.text.streams import read_blocks

Segments = Literal["sentences", "lines"]
Document = list[list[str]]
OnRead = Callable[[int], None]

_DOCUMENT_CHARACTERS = 1 << 24


def read_documents(
    sources: Iterable[str | Path],
    *,
    segments: Segments = "sentences",
    text_column: str = "text",
    on_read: OnRead = lambda _: None,
) -> Iterator[Document]:
    """Documents of files or `hf:name[:config][:split]`, one at a time.

    The kind follows from the name: .jsonl, .parquet, else plain text; .gz and .zst on top. Without
    blank lines a text file would be one document: it is cut after 2**24 characters, to bound
    memory. `on_read` gets the bytes taken from the disk since the last call.

    Raises InputError naming file and byte offset when a source is missing, empty or no text.
    """
    for source in sources:
        found = False
        for lines in _read_lines(str(source), text_column, on_read):
            found = True
            yield as_document(lines, segments=segments)
        if not found:
            raise InputError(f"{source}: holds no text; leave it out")


def as_document(lines: Iterable[str], *, segments: Segments = "sentences") -> Document:
    """Lines as paragraphs of segments: the sentences of each line, or the whole line."""
    if segments == "sentences":
        return [split_sentences(line) for line in lines]
    return [[line] for line in lines]


def disk_bytes(sources: Iterable[str | Path]) -> int | None:
    """Bytes of all files together, for progress; None when one is a data set of the hub."""
    names = [str(source) for source in sources]
    if any(name.startswith("hf:") for name in names):
        return None
    return sum(Path(name).stat().st_size for name in names if Path(name).is_file())


def _read_lines(source: str, text_column: str, on_read: OnRead) -> Iterator[list[str]]:
    if source.startswith("hf:"):
        rows = _read_hub(source, text_column)
    else:
        path = Path(source)
        if not path.is_file():
            what = "is a directory; name the files in it" if path.is_dir() else "no such file"
            raise InputError(f"{path}: {what}")
        suffixes = [suffix for suffix in path.suffixes if suffix not in (".gz", ".zst")]
        kind = suffixes[-1] if suffixes else ""
        if kind not in (".jsonl", ".ndjson", ".parquet"):
            yield from _read_text(path, on_read)
            return
        read = _read_parquet if kind == ".parquet" else _read_jsonl
        rows = read(path, text_column, on_read)
    for text in rows:
        if lines := [line for raw in text.split("\n") if (line := raw.strip())]:
            yield lines


def _read_text(path: Path, on_read: OnRead) -> Iterator[list[str]]:
    document: list[str] = []
    characters = 0
    for _, block in read_blocks(path, on_read):
        # A block ends with its last line's newline, which must not read as a blank line after it.
        for raw in block.removesuffix("\n").split("\n"):
            line = raw.strip()
            if line:
                document.append(line)
                characters += len(line)
            if document and (not line or characters > _DOCUMENT_CHARACTERS):
                yield document
                document, characters = [], 0
    if document:
        yield document


def _read_jsonl(path: Path, column: str, on_read: OnRead) -> Iterator[str]:
    for start, block in read_blocks(path, on_read):
        offset = start
        for line in block.split("\n"):
            if line.strip():
                yield _row_text(line, column, where=f"{path}: byte {offset}")
            offset += len(line.encode()) + 1


def _row_text(line: str, column: str, *, where: str) -> str:
    try:
        row = json.loads(line)
    except ValueError as error:
        raise InputError(f"{where}: not JSON ({error}); JSONL is one object a line") from None
    if not isinstance(row, dict) or not isinstance(row.get(column), str):
        names = ", ".join(row) if isinstance(row, dict) else "no object"
        raise InputError(f"{where}: no text in column {column!r} ({names}); give --text-column")
    return row[column]


def _read_parquet(path: Path, column: str, on_read: OnRead) -> Iterator[str]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise InputError(f"{path}: Parquet needs pip install 'litebert[data]'") from None
    try:
        with parquet.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if column not in names:
                raise InputError(
                    f"{path}: no column {column!r} ({', '.join(names)}); give --text-column"
                )
            size, read = path.stat().st_size, 0
            for batch in file.iter_batches(batch_size=1024, columns=[column]):
                for row, text in enumerate(batch.column(0).to_pylist()):
                    if not isinstance(text, str):
                        raise InputError(f"{path}: row {read + row}: column {column!r} is no text")
                    yield text
                before, read = read, read + len(batch)
                rows = file.metadata.num_rows
                on_read(size * read // rows - size * before // rows)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path}: no readable Parquet ({str(error).splitlines()[0]})") from None


def _read_hub(source: str, column: str) -> Iterator[str]:
    try:
        from datasets import load_dataset  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise InputError(f"{source}: data sets need pip install 'litebert[data]'") from None
    _, name, *rest = source.split(":")
    config, split = ([*rest[:-1], None][0], rest[-1]) if rest else (None, "train")
    try:
        rows: Iterable[dict[str, Any]] = load_dataset(name, config, split=split, streaming=True)
    except Exception as error:  # the hub's failures have no common class
        raise InputError(f"{source}: not loadable ({str(error).splitlines()[0]})") from None
    for number, row in enumerate(rows):
        if not isinstance(row.get(column), str):
            raise InputError(
                f"{source}: row {number}: no text in column {column!r} ({', '.join(row)}); "
                "give --text-column"
            )
        yield row[column]
