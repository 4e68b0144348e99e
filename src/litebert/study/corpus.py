"""The text that all cells of a study read: prepared shards, or a user's files made into such."""

import shutil
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np

from litebert.errors import InputError
from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.shard_writer import ShardWriter
from litebert.text.shards import INDEX, Shards
from litebert.text.tokenizer import load_tokenizer
from litebert.text.vocabulary import train_tokenizer

# Every 30th document is held out, at most so many and at least two: what does not follow a text has
# to come from another one.
EVERY, MOST_HELD_OUT, LEAST = 30, 2000, 2
ENDINGS = (".txt", ".md", ".jsonl", ".parquet", ".txt.gz", ".jsonl.gz", ".txt.zst", ".jsonl.zst")


@dataclass(frozen=True)
class StudyCorpus:
    """Prepared shards of a study."""

    train: Path
    valid: Path
    thinner: Path
    """Where copies with fewer documents go."""
    vocab_size: int

    def fields(self, *, every: int = 1) -> dict[str, str]:
        """The recipe fields data and valid of a variant that sees every so manieth document."""
        return {"data": str(self._thinned(every)), "valid": str(self.valid)}

    def thin(self, every: int) -> None:
        """Write shards of every so manieth training document, unless they are there."""
        output = self._thinned(every)
        if (output / INDEX).is_file():
            return
        # what a killed call left has no index
        shutil.rmtree(output, ignore_errors=True)
        shards = Shards.open(self.train)
        writer = ShardWriter(output, tokenizer=load_tokenizer(shards.tokenizer_path))
        for shard in shards.shards:
            for document in range(0, len(shard.documents) - 1, every):
                first, last = shard.documents[document : document + 2]
                borders = shard.segments[first : last + 1]
                inside = np.searchsorted(shard.paragraphs, [first, last])
                paragraphs = np.diff(shard.paragraphs[inside[0] : inside[1] + 1])
                writer.add(
                    shard.tokens[borders[0] : borders[-1]],
                    segment_lengths=np.diff(borders),
                    paragraph_segments=paragraphs,
                    document_paragraphs=np.array([len(paragraphs)]),
                )
        writer.close()

    def _thinned(self, every: int) -> Path:
        return self.train if every == 1 else self.thinner / f"train-every-{every}"


def study_corpus(data: Path, output: Path, *, vocab_size: int) -> StudyCorpus:
    """The shards of a folder of text, a file, or a folder of shards.

    A folder with train/ and valid/ made by `litebert prepare` is taken as it is. Text gets a
    vocabulary of its own, of at most `vocab_size` pieces, and shards under `output`, which are
    found again on a second call. Raises InputError for a folder without text, for text of fewer
    than four documents, and where no document has two sentences.
    """
    prepared = {name: data / name for name in ("train", "valid")}
    if not all((place / INDEX).is_file() for place in prepared.values()):
        prepared = {name: output / name for name in ("train", "valid")}
        if not all((place / INDEX).is_file() for place in prepared.values()):
            _prepare(data, prepared, vocab_size)
    train, valid = (Shards.open(place.resolve()) for place in prepared.values())
    for shards in (train, valid):
        _check(shards, data)
    return StudyCorpus(train.path, valid.path, output.resolve(), train.vocab_size)


def _check(shards: Shards, data: Path) -> None:
    if shards.num_documents < LEAST:
        raise InputError(f"{data}: {shards.path.name} holds one document: give at least {LEAST}")
    if all((np.diff(shard.documents) < 2).all() for shard in shards.shards):
        raise InputError(
            f"{data}: no document of {shards.path.name} has two sentences, and a study asks for "
            f"their order: separate documents, not sentences, by blank lines"
        )


def _prepare(data: Path, places: dict[str, Path], vocab_size: int) -> None:
    documents = list(read_documents(_files(data)))
    if len(documents) < 2 * LEAST:
        raise InputError(
            f"{data}: {len(documents)} documents are too few: a study holds some out, so give at "
            f"least {2 * LEAST}, with a blank line between them"
        )
    every = max(min(EVERY, len(documents) // LEAST), len(documents) // MOST_HELD_OUT)
    for place in places.values():
        # what a killed call left
        shutil.rmtree(place, ignore_errors=True)
    train = [document for number, document in enumerate(documents) if number % every]
    lines = (" ".join(paragraph) for paragraph in chain.from_iterable(train))
    tokenizer = train_tokenizer(lines, vocab_size=vocab_size, at_most=True)
    prepare(train, tokenizer=tokenizer, output=places["train"])
    prepare(documents[::every], tokenizer=tokenizer, output=places["valid"])


def _files(data: Path) -> list[Path]:
    if data.is_file():
        return [data]
    files = sorted(file for file in data.rglob("*") if file.name.endswith(ENDINGS))
    if not files:
        raise InputError(f"{data}: no text found: give a folder of {', '.join(ENDINGS[:4])} files")
    return files
