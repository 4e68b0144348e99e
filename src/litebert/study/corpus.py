"""The text that all cells of a study read: prepared shards, or a user's files made into such."""

from itertools import chain
from pathlib import Path

from litebert.errors import InputError
from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.vocabulary import train_tokenizer

# Every 30th document is held out, at most this many.
EVERY, MOST_HELD_OUT = 30, 2000
ENDINGS = (".txt", ".md", ".jsonl", ".parquet", ".txt.gz", ".jsonl.gz", ".txt.zst", ".jsonl.zst")


def study_corpus(data: Path, output: Path, *, vocab_size: int) -> dict[str, str]:
    """The recipe fields data and valid of a folder of text, a file, or a folder of shards.

    A folder with train/ and valid/ made by `litebert prepare` is taken as it is. Text gets a
    vocabulary of its own and shards under `output`, which are found again on a second call.
    Raises InputError for a folder without text, and for text of fewer than two documents.
    """
    prepared = {name: data / name for name in ("train", "valid")}
    if not all((place / "index.json").is_file() for place in prepared.values()):
        prepared = {name: output / name for name in ("train", "valid")}
        if not all((place / "index.json").is_file() for place in prepared.values()):
            _prepare(data, prepared, vocab_size)
    return {"data": str(prepared["train"].resolve()), "valid": str(prepared["valid"].resolve())}


def _prepare(data: Path, places: dict[str, Path], vocab_size: int) -> None:
    documents = list(read_documents(_files(data)))
    if len(documents) < 2:
        raise InputError(
            f"{data}: holds {len(documents)} document: a study holds some out, so give at least "
            f"two, with a blank line between them"
        )
    every = max(min(EVERY, len(documents)), len(documents) // MOST_HELD_OUT)
    train = [document for number, document in enumerate(documents) if number % every]
    lines = (" ".join(paragraph) for paragraph in chain.from_iterable(train))
    tokenizer = train_tokenizer(lines, vocab_size=vocab_size)
    prepare(train, tokenizer=tokenizer, output=places["train"])
    prepare(documents[::every], tokenizer=tokenizer, output=places["valid"])


def _files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    files = sorted(file for file in data.rglob("*") if file.name.endswith(ENDINGS))
    if not files:
        raise InputError(f"{data}: no text found: give a folder of {', '.join(ENDINGS[:4])} files")
    return files
