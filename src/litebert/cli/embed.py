"""`litebert embed`: vectors of texts."""

import io
import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from litebert.cli.row_progress import RowProgress
from litebert.cli.text_lines import file_lines, typed_lines
from litebert.errors import InputError
from litebert.files import check_writable, write_atomically
from litebert.infer.engine import Engine, Pooling
from litebert.infer.prepare import Precision
from litebert.tasks.columns import UnusableRowError, cell_text
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import SUFFIXES, most_rows, read_rows

# Texts that are read before the first is answered: enough to sort by length.
CHUNK = 256


@dataclass(frozen=True)
class Settings:
    """What to embed, and by whom."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run, a Hugging Face directory or hub id, pretrained or fine-tuned."""
    file: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """A text a line, or CSV, TSV, JSONL or Parquet; - reads lines from standard input."""
    output: Path | None = None
    """A .npy file of (texts, hidden size) float32; JSON lines on standard output when left out."""
    column: str = "text"
    """Column of a table that holds the texts."""
    pooling: Pooling = "mean"
    """mean of all tokens' hidden states, first ([CLS]), or pooled (the pooler's output)."""
    raw: bool = False
    """Leave the vectors' lengths as they are, instead of making each 1."""
    depth: int | None = None
    """Layers to run, of a model that shares them all; its own number when left out."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only)."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""


def main(argv: list[str]) -> int:
    """Write the vectors of texts; raises InputError for a file without any."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert embed",
        description="Vectors of texts: their products are cosines.",
    )
    if settings.output is not None:
        if settings.output.suffix != ".npy":
            raise InputError(f"--output {settings.output}: name a .npy file")
        check_writable(settings.output)
    texts = _texts(settings)
    engine = Engine.load(settings.model, precision=settings.precision, device=settings.device)
    total = None if settings.file == "-" else most_rows(Path(settings.file))
    kept, count = [], 0
    with RowProgress("embed", total, to_terminal=settings.output is None) as progress:
        while chunk := list(islice(texts, 1 if settings.file == "-" else CHUNK)):
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                vectors = engine.embed(
                    chunk,
                    depth=settings.depth,
                    pooling=settings.pooling,
                    normalise=not settings.raw,
                )
            for warning in said:
                progress.say(f"warning: {warning.message}")
            count += len(chunk)
            progress.done(count)
            if settings.output is not None:
                kept.append(vectors)
                continue
            for vector in vectors:
                print(json.dumps([round(value, 6) for value in vector.tolist()]), flush=True)
    if not count:
        raise InputError(f"{settings.file}: no text in it")
    if settings.output is not None:
        content = io.BytesIO()
        np.save(content, np.concatenate(kept))
        write_atomically(settings.output, content.getvalue())
        print(f"{count:,} vectors: {settings.output}")
    return 0


def _texts(settings: Settings) -> Iterator[str]:
    if settings.file == "-":
        return typed_lines()
    path = Path(settings.file)
    return _of_table(path, settings.column) if path.suffix in SUFFIXES else file_lines(path)


def _of_table(path: Path, column: str) -> Iterator[str]:
    problems = Problems()
    for place, values in read_rows(path, problems):
        if column not in values:
            raise InputError(
                f"{place}: no column {column!r}: --column names one of {', '.join(values)}"
            )
        try:
            yield cell_text(values[column])
        except UnusableRowError as problem:
            raise InputError(f"{place}: {problem.what}") from None
    if lines := problems.lines():
        # one vector a row: a row left out would shift all others
        raise InputError(f"{path}: {lines[0]}")
