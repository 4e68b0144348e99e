"""Corpora in memory whose token ids say where they come from, shaped as `Shards` reads them."""

from dataclasses import dataclass, field

import numpy as np

SPECIAL = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
FIRST_ID = 5


@dataclass
class Shard:
    tokens: np.ndarray
    segments: np.ndarray
    paragraphs: np.ndarray
    documents: np.ndarray


@dataclass
class Corpus:
    shards: list[Shard]
    vocab_size: int
    special: dict[str, int] = field(default_factory=lambda: dict(SPECIAL))

    @property
    def total_tokens(self) -> int:
        return sum(len(shard.tokens) for shard in self.shards)


def corpus_of(*shards: list[list[int]], longest_paragraph: int = 5) -> Corpus:
    """A corpus from shards → documents → segment lengths: token number i of it has id i + 5.

    Paragraphs are random: 1..longest_paragraph segments each, the last what is left.
    """
    made, next_id, rng = [], FIRST_ID, np.random.default_rng(0)
    for documents in shards:
        lengths = [length for document in documents for length in document]
        total = sum(lengths)
        paragraphs = [
            size for document in documents for size in _paragraphs(document, longest_paragraph, rng)
        ]
        made.append(
            Shard(
                np.arange(next_id, next_id + total, dtype=np.uint32),
                _offsets(lengths),
                _offsets(paragraphs),
                _offsets([len(document) for document in documents]),
            )
        )
        next_id += total
    return Corpus(made, next_id)


def _paragraphs(document: list[int], longest: int, rng: np.random.Generator) -> list[int]:
    sizes, left = [], len(document)
    while left:
        sizes.append(min(left, int(rng.integers(1, longest + 1))))
        left -= sizes[-1]
    return sizes


def _offsets(lengths: list[int]) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def random_corpus(
    seed: int,
    *,
    documents: int = 300,
    shards: int = 3,
    longest: int = 60,
    most: int = 20,
    longest_paragraph: int = 5,
) -> Corpus:
    """Documents of 1..most segments of 1..longest tokens, spread over shards."""
    rng = np.random.default_rng(seed)
    made = [
        rng.integers(1, longest + 1, rng.integers(1, most + 1)).tolist() for _ in range(documents)
    ]
    return corpus_of(*(made[i::shards] for i in range(shards)), longest_paragraph=longest_paragraph)


def origin(corpus: Corpus) -> tuple[np.ndarray, np.ndarray]:
    """Document number and segment number, over all shards, of every token."""
    documents, segments, document, segment = [], [], 0, 0
    for shard in corpus.shards:
        sizes = np.diff(shard.segments)
        per_document = np.diff(shard.documents)
        segment_documents = np.repeat(np.arange(len(per_document)), per_document) + document
        documents.append(np.repeat(segment_documents, sizes))
        segments.append(np.repeat(np.arange(len(sizes)), sizes) + segment)
        document, segment = document + len(per_document), segment + len(sizes)
    return np.concatenate(documents), np.concatenate(segments)
