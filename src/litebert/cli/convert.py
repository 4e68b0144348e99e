"""`litebert convert`: a model of any source into a directory that transformers loads."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from litebert.errors import InputError
from litebert.interop import huggingface
from litebert.interop.load import load, tokenizer_of
from litebert.text.tokenizer import Tokenizer


@dataclass(frozen=True)
class Settings:
    """What to convert, and where to."""

    source: tyro.conf.Positional[str]
    """A Hugging Face directory or hub id, a litebert run, or Google's TensorFlow checkpoint."""
    destination: tyro.conf.Positional[Path]
    """The directory to write, in the Hugging Face layout."""
    allow: Annotated[tuple[str, ...], tyro.conf.arg(metavar="NAME ...")] = ()
    """Weights, or beginnings of their names, that may be missing or left over."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Convert a model; raises InputError when transformers cannot express it."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert convert",
        description="Convert a model for transformers.",
    )
    model = load(settings.source, allow=settings.allow)
    huggingface.require_transformers(model.config)
    tokenizer = _tokenizer(settings.source)
    huggingface.save(model, tokenizer, settings.destination)
    result = {
        "source": settings.source,
        "destination": str(settings.destination),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "tokenizer": tokenizer is not None,
    }
    if settings.json:
        print(json.dumps(result))
    else:
        print(f"{settings.destination}: {result['parameters']:,} parameters", file=sys.stderr)
    return 0


def _tokenizer(source: str) -> Tokenizer | None:
    try:
        return tokenizer_of(source)
    except InputError as error:
        print(f"no tokenizer is written: {error}", file=sys.stderr)
        return None
