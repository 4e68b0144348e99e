"""Shards hold exactly the ids that the tokenizer gives, however the text comes in."""

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import time
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from litebert.cli import prepare as cli
from litebert.errors import InputError
from litebert.text import prepare as module
from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.shards import Shards
from litebert.text.tokenizer import load_tokenizer
from litebert.text.words import CorpusEncoder

SHARED = Path(__file__).resolve().parents[2] / "../shared"
ALBERT = SHARED / "data/vocab/albert-30k-clean.model"
BERT = SHARED / "data/vocab/bert-base-uncased-vocab.txt"
FILES = [SHARED / f"data/corpus/valid/{name}.txt.gz" for name in ("techdocs", "wikipedia")]
pytestmark = pytest.mark.skipif(not ALBERT.exists(), reason="needs ../shared/data")


def segment_ids(shards: Shards) -> list[list[int]]:
    return [
        shard.tokens[first:last].tolist()
        for shard in shards.shards
        for first, last in zip(shard.segments[:-1], shard.segments[1:], strict=True)
    ]


@pytest.mark.parametrize("vocabulary", [ALBERT, BERT])
def test_shards_hold_the_ids_of_the_tokenizer(tmp_path, vocabulary):
    tokenizer = load_tokenizer(vocabulary)
    documents = list(read_documents(FILES))[:60]
    shards = prepare(documents, tokenizer=tokenizer, output=tmp_path / "a")
    segments = list(chain.from_iterable(chain.from_iterable(documents)))
    assert segment_ids(shards) == tokenizer.encode_batch(segments)
    assert shards.num_documents == len(documents)
    assert load_tokenizer(shards.tokenizer_path).fingerprint == shards.fingerprint


def test_batching_does_not_change_a_byte(tmp_path, monkeypatch):
    tokenizer = load_tokenizer(ALBERT)
    documents = list(read_documents(FILES))[:40]
    hashes = []
    for size in (1, 5_000, 1 << 20):
        monkeypatch.setattr(module, "_BATCH_CHARACTERS", size)
        output = tmp_path / str(size)
        shards = prepare(documents, tokenizer=tokenizer, output=output, shard_bytes=40_000)
        hashes.append([entry["sha256"] for entry in shards.index["shards"]])
    assert len(hashes[0]) > 2
    assert hashes[0] == hashes[1] == hashes[2]


ODD = (
    " \u200b\u00a8\u0308\u2581.,'\"`()-0123£\x1c\x85\u3000\t\ufb01\u1100\u0e33ẞİΣ日本\ufe0f\ufdfa¼"
)
CHARACTERS = st.one_of(st.sampled_from(ODD), st.characters(), st.sampled_from("abcdefgh    "))


@pytest.fixture(scope="module")
def encoders():
    options = [{}, {"convention": "google", "keep_accents": True, "cased": True}]
    loaded = [load_tokenizer(ALBERT, **option) for option in options] + [load_tokenizer(BERT)]
    return [(tokenizer, CorpusEncoder(tokenizer)) for tokenizer in loaded]


@settings(max_examples=150, deadline=None)
@given(texts=st.lists(st.text(CHARACTERS, max_size=30), min_size=1, max_size=4))
def test_words_end_to_end_are_the_text(encoders, texts):
    for tokenizer, encoder in encoders:
        ids, lengths = encoder.encode(texts)
        found, first = [], 0
        for length in lengths:
            found.append(ids[first : first + length].tolist())
            first += length
        assert found == [tokenizer.encode(text) for text in texts]
        assert first == len(ids)


def test_a_full_table_of_words_starts_anew(monkeypatch):
    from litebert.text import words

    monkeypatch.setattr(words, "_TABLE_CHARACTERS", 200)
    tokenizer = load_tokenizer(ALBERT)
    encoder = CorpusEncoder(tokenizer)
    rng = random.Random(0)
    letters = "abcdefghijklmnop"
    for _ in range(30):
        text = " ".join("".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(20))
        assert encoder.encode([text])[0].tolist() == tokenizer.encode(text)


@pytest.mark.parametrize(
    "documents",
    [[[["One document only."]]], [[["One"]], [["segment"]], [["each."]]], [[["a"], ["b", "c"]]]],
)
def test_the_smallest_corpora_work(tmp_path, documents):
    shards = prepare(documents, tokenizer=load_tokenizer(ALBERT), output=tmp_path / "a")
    assert shards.num_documents == len(documents)
    assert shards.num_segments == sum(map(len, chain.from_iterable(documents)))


def test_the_command_prepares_and_verifies(tmp_path, capsys):
    output = tmp_path / "shards"
    files = [str(file) for file in FILES]
    run = [*files, "--tokenizer", str(ALBERT), "--output", str(output)]
    assert cli.main([*run, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    shards = Shards.open(output)
    assert result["tokens"] == shards.num_tokens
    assert result["documents"] == shards.num_documents
    text = b"\n\n".join(gzip.decompress(file.read_bytes()) for file in FILES).decode().strip()
    assert result["documents"] == len([part for part in text.split("\n\n") if part.strip()])
    assert cli.main(["--verify", str(output), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["tokens"] == shards.num_tokens
    with pytest.raises(InputError, match="not empty"):
        cli.main(run)
    with pytest.raises(InputError, match="no tokenizer"):
        cli.main([*files, "--output", str(tmp_path / "b")])
    with pytest.raises(InputError, match="stands alone"):
        cli.main(["--verify", str(output), *run])
    lines = ["--segments", "lines", "--output", str(tmp_path / "lines")]
    assert cli.main([files[0], "--tokenizer", str(output / "tokenizer"), *lines]) == 0
    rows = [row for row in gzip.decompress(FILES[0].read_bytes()).decode().split("\n") if row]
    assert Shards.open(tmp_path / "lines").num_segments == len(rows)


KILLED = """
import sys, itertools
from litebert.text.prepare import prepare
from litebert.text.tokenizer import load_tokenizer
documents = ([[f"document number {k} of many"]] for k in itertools.count())
prepare(documents, tokenizer=load_tokenizer(sys.argv[1]), output=sys.argv[2], shard_bytes=100_000)
"""


def test_a_killed_preparation_cannot_be_opened(tmp_path):
    output = tmp_path / "shards"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(ALBERT), str(output)])
    deadline = time.monotonic() + 60
    while len(list(output.glob("*.safetensors"))) < 2:
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with pytest.raises(InputError, match="interrupted"):
        Shards.open(output)
