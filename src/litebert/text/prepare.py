"""Turns documents into shards with bounded memory: read, split, encode, write, batch by batch."""

from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from itertools import chain
from pathlib import Path

import numpy as np

from litebert.text.corpus import Document
from litebert.text.shard_writer import SHARD_BYTES, ShardWriter
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer
from litebert.text.words import CorpusEncoder

_BATCH_CHARACTERS = 1 << 20


def prepare(
    documents: Iterable[Document],
    *,
    tokenizer: Tokenizer,
    output: str | Path,
    shard_bytes: int = SHARD_BYTES,
    on_text: Callable[[int], None] = lambda _: None,
) -> Shards:
    """Encode documents (paragraphs of segments, see `read_documents`) into a directory of shards.

    The tokenizer is stored with them. `on_text` gets the characters encoded since the last call.
    The result does not depend on batching; an interruption leaves an empty directory.

    Raises InputError when `output` exists and is not empty, no document has text, or the disk is
    full.
    """
    writer = ShardWriter(output, tokenizer=tokenizer, shard_bytes=shard_bytes)
    prepare_into(writer, documents, tokenizer=tokenizer, on_text=on_text)
    try:
        writer.close()
    except BaseException:
        writer.abort()
        raise
    return Shards.open(output)


def prepare_into(
    writer: ShardWriter,
    documents: Iterable[Document],
    *,
    tokenizer: Tokenizer,
    on_text: Callable[[int], None] = lambda _: None,
) -> None:
    """Encode documents into a writer that is not closed yet; an error empties its directory."""
    encoder = CorpusEncoder(tokenizer)
    try:
        for batch in _batches(documents):
            paragraphs = list(chain.from_iterable(batch))
            segments = list(chain.from_iterable(paragraphs))
            tokens, lengths = encoder.encode(segments)
            writer.add(
                tokens,
                segment_lengths=lengths,
                paragraph_segments=_counts(paragraphs),
                document_paragraphs=_counts(batch),
            )
            on_text(sum(map(len, segments)))
    except BaseException:
        writer.abort()
        raise


def _counts(lists: Sequence[Sized]) -> np.ndarray:
    return np.fromiter(map(len, lists), np.int64, len(lists))


def _batches(documents: Iterable[Document]) -> Iterator[list[Document]]:
    batch: list[Document] = []
    characters = 0
    for document in documents:
        if any(isinstance(paragraph, str) for paragraph in document):
            # Would be read letter by letter.
            raise TypeError("a document is a list of paragraphs, each a list of segments")
        batch.append(document)
        characters += sum(map(len, chain.from_iterable(document)))
        if characters >= _BATCH_CHARACTERS:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch
