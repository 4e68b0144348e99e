"""`litebert tokenizer train`: a SentencePiece vocabulary from text files."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from litebert.errors import InputError
from litebert.text.corpus import Segments, read_documents
from litebert.text.vocabulary import train_tokenizer


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What to train on and what to write."""

    files: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="FILES ...")]
    """Text, JSONL or Parquet, plain or .gz or .zst, or hf:name[:config][:split]."""
    output: Path
    """Directory for spiece.model, tokenizer.json and tokenizer_config.json; new or empty."""
    vocab_size: int = 30_000
    """Pieces of the vocabulary, the five special ones included."""
    cased: bool = False
    """Keep upper case."""
    keep_accents: bool = False
    """Keep accents; needed for most languages other than English."""
    segments: Segments = "sentences"
    """Train on sentences or on whole lines."""
    sample: int = 10_000_000
    """Segments to train on at most, drawn at random."""
    text_column: str = "text"
    """Column of JSONL, Parquet and data sets that holds the text."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Train and save a vocabulary; raises InputError for text or sizes that do not fit."""
    if argv[:1] != ["train"] and argv[:1] not in (["--help"], ["-h"]):
        raise InputError("say what to do: litebert tokenizer train FILES --output DIR")
    settings = tyro.cli(
        Settings,
        args=argv[1:] if argv[0] == "train" else argv,
        prog="litebert tokenizer train",
        description="Train an ALBERT vocabulary (SentencePiece unigram) on text.",
    )
    if not settings.files:
        raise InputError("no files: litebert tokenizer train FILES --output DIR")
    if settings.output.exists() and (
        not settings.output.is_dir() or any(settings.output.iterdir())
    ):
        raise InputError(f"{settings.output}: exists and is not empty; give a new directory")
    start = time.perf_counter()
    tokenizer = train_tokenizer(
        _segments(settings),
        vocab_size=settings.vocab_size,
        cased=settings.cased,
        keep_accents=settings.keep_accents,
        sample=settings.sample,
    )
    tokenizer.save(settings.output)
    seconds = time.perf_counter() - start
    if settings.json:
        result = {
            "output": str(settings.output),
            "vocab_size": tokenizer.vocab_size,
            "fingerprint": tokenizer.fingerprint,
            "seconds": round(seconds, 2),
        }
        print(json.dumps(result))
    else:
        print(f"{settings.output}: {tokenizer.vocab_size:,} pieces in {seconds:.1f} s")
    return 0


def _segments(settings: Settings) -> Iterator[str]:
    from rich.console import Console

    console = Console(stderr=True)
    read = 0
    documents = read_documents(
        settings.files, segments=settings.segments, text_column=settings.text_column
    )
    with console.status("reading", spinner="line") as status:
        for document in documents:
            for paragraph in document:
                read += sum(map(len, paragraph))
                yield from paragraph
            status.update(f"reading: {read / 1e6:.1f} million characters")
        status.update("training (the library works in silence)")
    print(f"read {read:,} characters; training", file=sys.stderr)
