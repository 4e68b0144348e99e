"""The text that all cells of a study read: prepared shards, or a user's files made into such."""

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

# Every 30th document is held out, at most this many.
EVERY, MOST_HELD_OUT = 30, 2000
ENDINGS = (".txt", ".md", ".jsonl", ".parquet", ".txt.gz", ".jsonl.gz", ".txt.zst", ".jsonl.zst")


@dataclass(frozen=True)
class StudyCorpus:
    """Prepared shards of a study."""

    train: Path
    valid: Path
    thinner: Path
    """Where copies with fewer documents go."""

    def fields(self, *, every: int = 1) -> dict[str, str]:
        """The recipe fields data and valid of a variant that sees every so manieth document."""
        return {"data": str(self._thinned(every)), "valid": str(self.valid)}

    def thin(self, every: int) -> None:
        """Write shards of every so manieth training document, unless they are there."""
        output = self._thinned(every)
        if (output / INDEX).is_file():
            return
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
    found again on a second call. Raises InputError for a folder without text, and for text of fewer
    than two documents.
    """
    prepared = {name: data / name for name in ("train", "valid")}
    if not all((place / INDEX).is_file() for place in prepared.values()):
        prepared = {name: output / name for name in ("train", "valid")}
        if not all((place / INDEX).is_file() for place in prepared.values()):
            _prepare(data, prepared, vocab_size)
    train, valid = (place.resolve() for place in prepared.values())
    return StudyCorpus(train, valid, output.resolve())


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
