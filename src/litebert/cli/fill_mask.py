"""`litebert fill-mask`: the likeliest words for [MASK] in a text."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

import tyro

from litebert.cli.text_lines import typed_lines
from litebert.errors import InputError
from litebert.infer.engine import Engine
from litebert.infer.fill_mask import MaskAnswer
from litebert.infer.prepare import Precision


@dataclass(frozen=True)
class Settings:
    """What to fill in."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A litebert run, a Hugging Face directory or hub id, or Google's TensorFlow checkpoint."""
    texts: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="TEXT ...")]
    """Texts with [MASK] in them; - reads one text per line from standard input."""
    top: int = 5
    """Answers per [MASK]."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only)."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Fill the masks of texts; raises InputError for one without [MASK], or that is not UTF-8."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert fill-mask",
        description="The likeliest words for [MASK], with their probabilities.",
    )
    if not settings.texts:
        raise InputError('no text given: try litebert fill-mask MODEL "The sky is [MASK]."')
    texts = list(_texts(settings.texts))
    engine = Engine.load(settings.model, precision=settings.precision, device=settings.device)
    answered = [(text, engine.fill_mask(text, top=settings.top)) for text in texts]
    if settings.json:
        print(json.dumps({"model": settings.model, "texts": [_values(*one) for one in answered]}))
    else:
        _print_tables(answered)
    return 0


def _texts(given: Iterable[str]) -> Iterable[str]:
    for number, text in enumerate(given, 1):
        if text == "-":
            yield from (line.strip() for line in typed_lines() if line.strip())
        elif any("\ud800" <= sign <= "\udfff" for sign in text):  # bytes of no sign come as these
            raise InputError(f"text {number}, {text[:60]!r}: text that is not UTF-8: convert it")
        else:
            yield text


def _values(text: str, answers: list[MaskAnswer]) -> dict:
    named = [[{"token": t, "probability": p} for t, p in answer] for answer in answers]
    return {"text": text, "answers": named}


def _print_tables(answered: list[tuple[str, list[MaskAnswer]]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    for text, answers in answered:
        console.print(Text(text, style="bold"))
        table = Table(show_header=len(answers) > 1, box=None, pad_edge=False)
        for number in range(1, len(answers) + 1):
            table.add_column(f"[bold]mask {number}" if len(answers) > 1 else "")
            table.add_column("", justify="right")
        for row in zip(*answers, strict=True):
            cells = [(Text(token), f"{probability:.1%}") for token, probability in row]
            table.add_row(*(part for cell in cells for part in cell))
        console.print(table)
