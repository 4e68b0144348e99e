"""`litebert quickstart`: raw text to a pretrained ALBERT one can try, in a few minutes.

Collects text, trains a vocabulary, prepares shards, pretrains, and shows what came out: every step
is the same code as the verbs `tokenizer train`, `prepare`, `pretrain` and `fill-mask`.
"""

import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

import tyro
from rich.console import Console

from litebert.cli.progress import RunProgress, evaluation_line
from litebert.errors import InputError
from litebert.runs.pretraining import RunResult, pretrain
from litebert.text import python_prose
from litebert.text.corpus import Document, as_document, read_documents
from litebert.text.prepare import prepare
from litebert.text.vocabulary import train_tokenizer
from litebert.train.recipe import PretrainRecipe, RunSettings

# Every 30th document is held out: about 3 % of the text.
HELD_OUT = 30
# More prose than this takes longer to collect than four minutes of training can read.
PROSE_CHARACTERS = 9_000_000

# Sentences of the domain of Python's documentation, for the built-in text.
EXAMPLES = [
    "Return a new [MASK] with the same elements.",
    "If the file does not exist, an error is [MASK].",
    "The first [MASK] is the name of the module.",
]


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a quickstart run does."""

    text: list[Path] | None = None
    """Your own text files instead of the prose of the Python installation: a paragraph or sentence
    per line, a blank line between documents; plain, .gz, .zst, .jsonl or .parquet."""
    minutes: float = 4.0
    """Minutes of training."""
    vocab_size: int = 8000
    """Entries of the vocabulary."""
    model: str = "albert-micro"
    """Preset of the model."""
    output: Path | None = None
    """Directory of the run; runs/quickstart-DATE-TIME when left out."""
    json: bool = False
    """Print one JSON object with the result on standard output."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    arguments = tyro.cli(Arguments, args=argv, prog="litebert quickstart", description=__doc__)
    output = arguments.output or Path("runs", time.strftime("quickstart-%Y%m%d-%H%M%S"))
    if output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty: choose another --output")
    console = Console(stderr=True)
    result = quickstart(arguments, output, console)
    if result.stop_signal is not None:
        console.print(
            f"stopped and saved at step {result.step}; go on with: "
            f"litebert pretrain --output {result.output} --resume",
            highlight=False,
            soft_wrap=True,  # a command to copy
        )
        return 128 + result.stop_signal
    if arguments.json:
        print(json.dumps(result.asdict()))
    else:
        _show(result)
    return 0


def quickstart(arguments: Arguments, output: Path, console: Console) -> RunResult:
    """Text to model in `output`: shards/ with their tokenizer, and the run directory run/."""
    with console.status("collecting text"):
        documents = list(_documents(arguments.text))
    if len(documents) < 2:
        raise InputError(
            f"found {len(documents)} document in the text: quickstart holds some out to measure "
            f"on, so give at least two, with a blank line between them"
        )
    every = min(HELD_OUT, len(documents))
    train = [document for number, document in enumerate(documents) if number % every]
    held_out = documents[::every]
    characters = sum(map(len, _lines(documents)))
    console.print(
        f"text: {characters / 1e6:.1f} MB in {len(documents):,} documents, "
        f"{len(held_out)} of them held out",
        highlight=False,
    )
    with console.status(f"training a vocabulary of {arguments.vocab_size:,}"):
        tokenizer = train_tokenizer(_lines(train), vocab_size=arguments.vocab_size)
    with console.status("preparing shards"):
        shards = prepare(train, tokenizer=tokenizer, output=output / "shards" / "train")
        prepare(held_out, tokenizer=tokenizer, output=output / "shards" / "valid")
    console.print(f"shards: {shards.num_tokens:,} tokens to train on", highlight=False)
    recipe = PretrainRecipe(
        data=output / "shards" / "train",
        valid=output / "shards" / "valid",
        model=arguments.model,
        minutes=arguments.minutes,
        # What leaves the unigram plateau soonest in minutes (LOG.md, 2026-11-22): many small steps,
        # each with many predictions. Evaluations mask 15 % all the same.
        batch_tokens=2048,
        mask_rate=0.4,
        evaluations=8,
        evaluation_batches=10,
    )
    settings = RunSettings(output=output / "run")
    with RunProgress(arguments.model) as progress:
        return pretrain(
            recipe,
            settings,
            watch=progress.watch,
            examples=None if arguments.text else EXAMPLES,
        )


def _documents(files: list[Path] | None) -> Iterator[Document]:
    if files is not None:
        yield from read_documents(files)
        return
    read = 0
    for paragraphs in python_prose.documents():
        yield as_document(paragraphs)
        read += sum(map(len, paragraphs))
        if read > PROSE_CHARACTERS:
            return


def _lines(documents: Iterable[Document]) -> Iterator[str]:
    return (" ".join(paragraph) for paragraph in chain.from_iterable(documents))


def _show(result: RunResult) -> None:
    console = Console(highlight=False, soft_wrap=True, markup=False)
    if result.evaluation is not None:
        console.print(f"\nheld out: {evaluation_line(result.evaluation.asdict())}")
    examples = json.loads((result.output / "examples.json").read_text("utf-8"))
    for example in islice(examples, 3):
        console.print(f"\n  {example['text']}")
        for answers in example["answers"]:
            shown = ", ".join(f"{a['token']} {a['probability']:.0%}" for a in answers)
            console.print(f"    {shown}")
    console.print(f"\nreport: {result.report}\n\nLoad it in transformers:\n")
    console.print(
        f'  model = transformers.AutoModelForMaskedLM.from_pretrained("{result.model_directory}")'
    )
    console.print(
        f'  tokenizer = transformers.AutoTokenizer.from_pretrained("{result.model_directory}")'
    )
