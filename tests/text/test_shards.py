"""What is written is what is read, mapped rather than loaded."""

import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from safetensors.numpy import load_file

from litebert.errors import InputError
from litebert.text.shard_writer import ShardWriter
from litebert.text.shards import Shards, verify
from litebert.text.vocabulary import train_tokenizer

SENTENCE = "The quick brown fox jumps over the lazy dog and a cat"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([SENTENCE] * 50, vocab_size=40)


class Wide:
    """A tokenizer in all that a writer asks of it, with a vocabulary of any size."""

    special = {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}  # noqa: RUF012
    fingerprint = "f"

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def save(self, directory) -> None:
        directory.mkdir()


def random_corpus(rng, documents: int) -> list[list[list[list[int]]]]:
    """Documents of paragraphs of segments of ids; some of each are empty."""
    return [
        [
            [rng.integers(5, 40, rng.integers(0, 9)).tolist() for _ in range(rng.integers(0, 4))]
            for _ in range(rng.integers(0, 5))
        ]
        for _ in range(documents)
    ]


def add(writer: ShardWriter, documents) -> None:
    paragraphs = [paragraph for document in documents for paragraph in document]
    segments = [segment for paragraph in paragraphs for segment in paragraph]
    writer.add(
        np.array([token for segment in segments for token in segment], np.int64),
        segment_lengths=np.array([len(segment) for segment in segments], np.int64),
        paragraph_segments=np.array([len(paragraph) for paragraph in paragraphs], np.int64),
        document_paragraphs=np.array([len(document) for document in documents], np.int64),
    )


def read_back(shards: Shards) -> list[list[list[list[int]]]]:
    documents = []
    for shard in shards.shards:
        for first, last in zip(shard.documents[:-1], shard.documents[1:], strict=True):
            inside = (shard.paragraphs >= first) & (shard.paragraphs <= last)
            borders = shard.paragraphs[inside]
            documents.append(
                [
                    [
                        shard.tokens[shard.segments[s] : shard.segments[s + 1]].tolist()
                        for s in range(low, high)
                    ]
                    for low, high in pairwise(borders)
                ]
            )
    return documents


@pytest.mark.parametrize("batch", [1, 7, 400])
def test_what_is_written_is_read_back(tmp_path, tokenizer, batch):
    corpus = random_corpus(np.random.default_rng(0), 400)
    writer = ShardWriter(tmp_path / "a", tokenizer=tokenizer, shard_bytes=2000)
    for first in range(0, len(corpus), batch):
        add(writer, corpus[first : first + batch])
    writer.close()
    shards = Shards.open(tmp_path / "a")
    full = [[[s for s in p if s] for p in d if any(p)] for d in corpus]
    kept = [document for document in full if document]
    assert read_back(shards) == kept
    assert len(shards.shards) > 3
    flat = [s for d in kept for p in d for s in p]
    assert shards.num_documents == len(kept)
    assert shards.num_segments == len(flat)
    assert shards.num_tokens == sum(map(len, flat))
    assert shards.index["paragraphs"] == sum(map(len, kept))
    assert shards.index["dropped_documents"] == len(corpus) - len(kept)
    assert shards.index["dropped_segments"] == sum(
        not segment for document in corpus for paragraph in document for segment in paragraph
    )
    for shard in shards.shards[:-1]:
        assert len(shard.tokens) >= 1000
        assert shard.segments[shard.documents[-2]] < 1000
    assert verify(tmp_path / "a").num_tokens == shards.num_tokens
    hashes = [entry["sha256"] for entry in shards.index["shards"]]
    one = ShardWriter(tmp_path / "b", tokenizer=tokenizer, shard_bytes=2000)
    add(one, corpus)
    one.close()
    assert [entry["sha256"] for entry in Shards.open(tmp_path / "b").index["shards"]] == hashes


@pytest.mark.parametrize(
    ("vocab_size", "dtype"), [(65_535, "uint16"), (65_536, "uint32"), (100_000, "uint32")]
)
def test_ids_take_two_bytes_where_they_fit(tmp_path, vocab_size, dtype):
    writer = ShardWriter(tmp_path / "a", tokenizer=Wide(vocab_size))
    add(writer, [[[[5, vocab_size - 1]]]])
    writer.close()
    shards = Shards.open(tmp_path / "a")
    assert shards.shards[0].tokens.dtype == dtype
    assert shards.shards[0].tokens.tolist() == [5, vocab_size - 1]
    assert shards.vocab_size == vocab_size


def test_the_index_says_what_made_the_ids(tmp_path, tokenizer):
    writer = ShardWriter(tmp_path / "a", tokenizer=tokenizer)
    add(writer, [[[[5, 6], [7]]]])
    writer.close()
    shards = Shards.open(tmp_path / "a")
    assert shards.special == tokenizer.special
    assert shards.fingerprint == tokenizer.fingerprint
    assert (shards.tokenizer_path / "tokenizer.json").exists()
    sealed = json.loads((tmp_path / "a/index.json").read_text())
    assert sealed == {**shards.index, "sha256": sealed["sha256"]}
    plain = load_file(tmp_path / "a" / shards.shards[0].file)
    assert plain["tokens"].tolist() == [5, 6, 7]
    assert plain["segments"].tolist() == [0, 2, 3]
    assert plain["paragraphs"].tolist() == [0, 2]
    assert plain["documents"].tolist() == [0, 2]
    with pytest.raises(ValueError, match="read-only"):
        shards.shards[0].tokens[0] = 9


def test_an_existing_directory_is_left_alone(tmp_path, tokenizer):
    (tmp_path / "mine.txt").write_text("keep")
    with pytest.raises(InputError, match="not empty"):
        ShardWriter(tmp_path, tokenizer=tokenizer)
    assert (tmp_path / "mine.txt").read_text() == "keep"


OPEN = """
import sys
from litebert.text.shards import Shards
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096
import torch
before = resident()
shards = Shards.open(sys.argv[1])
print(resident() - before, shards.num_tokens)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_opening_reads_next_to_nothing(tmp_path, tokenizer):
    writer = ShardWriter(tmp_path / "a", tokenizer=tokenizer)
    count = 60_000_000
    writer.add(
        np.full(count, 7, np.uint16),
        segment_lengths=np.full(count // 100, 100),
        paragraph_segments=np.full(count // 1000, 10),
        document_paragraphs=np.full(count // 10_000, 10),
    )
    writer.close()
    run = [sys.executable, "-c", OPEN, str(tmp_path / "a")]
    grown, tokens = map(int, subprocess.check_output(run, text=True).split())
    assert tokens == count
    assert grown < 20_000_000  # of 126 million bytes
