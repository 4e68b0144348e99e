"""Parts prepared by any processes in any order give the shards of one process, byte for byte."""

import gzip
import hashlib
from pathlib import Path

import pytest

from litebert.cli.main import main
from litebert.errors import InputError
from litebert.text import parts as module
from litebert.text.parts import divide, on_ray, one_by_one, prepare_files, processes
from litebert.text.prepare import prepare
from litebert.text.shards import Shards, verify
from litebert.text.tokenizer import load_tokenizer
from tiny_runs import VOCABULARY, documents


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """Seven files of text, some compressed, and a vocabulary."""
    place = tmp_path_factory.mktemp("text")
    (place / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    for number in range(7):
        made = documents(40 + 30 * number, seed=number)
        text = "\n\n".join("\n".join(map(" ".join, document)) for document in made)
        if number % 2:
            (place / f"{number}.txt").write_text(text + "\n")
        else:
            (place / f"{number}.txt.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
    return place


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(module, "PART_BYTES", 10_000)


def sources(place: Path) -> list[str]:
    return sorted(map(str, place.glob("[0-9].txt*")))


def run(place: Path, output: Path, engine) -> Shards:
    tokenizer = load_tokenizer(place / "vocab.txt")
    return prepare_files(
        sources(place), tokenizer=tokenizer, output=output, engine=engine, shard_bytes=8_000
    )


def hashes(directory: Path) -> dict[str, str]:
    files = [path for path in directory.rglob("*") if path.is_file()]
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
    }


@pytest.fixture(scope="module")
def alone(place, tmp_path_factory):
    output = tmp_path_factory.mktemp("alone") / "shards"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART_BYTES", 10_000)
        run(place, output, one_by_one())
    return output


def test_parts_hold_what_one_corpus_holds(place, alone, tmp_path):
    """The same documents in the same order as without parts; only shards end elsewhere."""
    from litebert.text.corpus import read_documents

    tokenizer = load_tokenizer(place / "vocab.txt")
    whole = prepare(read_documents(sources(place)), tokenizer=tokenizer, output=tmp_path / "whole")
    parts = verify(alone)
    assert len(divide(sources(place))) >= 3
    assert len(parts.shards) > len(divide(sources(place)))
    for name in ("tokens", "segments", "paragraphs", "documents"):
        assert parts.index[name] == whole.index[name]
    ids = [token for shard in parts.shards for token in shard.tokens.tolist()]
    assert ids == [token for shard in whole.shards for token in shard.tokens.tolist()]


@pytest.mark.parametrize("count", [2, 4])
def test_processes_give_the_same_bytes(place, alone, tmp_path, count):
    run(place, tmp_path / "shards", processes(count))
    assert hashes(tmp_path / "shards") == hashes(alone)


def test_ray_gives_the_same_bytes(place, alone, tmp_path):
    pytest.importorskip("ray")
    run(place, tmp_path / "shards", on_ray(None))
    assert hashes(tmp_path / "shards") == hashes(alone)


def test_order_of_completion_does_not_matter(place, alone, tmp_path):
    def backwards(parts):
        return (module.prepare_part(part) for part in reversed(parts))

    run(place, tmp_path / "shards", backwards)
    assert hashes(tmp_path / "shards") == hashes(alone)


@pytest.mark.parametrize("engine", [one_by_one(), processes(2)], ids=["one", "processes"])
def test_fault_in_one_part_is_named_and_nothing_stays(place, tmp_path, engine):
    bad = tmp_path / "bad.txt"
    bad.write_bytes(b"good text\n\xff\xfe\n" * 2000)
    tokenizer = load_tokenizer(place / "vocab.txt")
    output = tmp_path / "shards"
    with pytest.raises(InputError, match=r"bad\.txt: byte 10 is not UTF-8"):
        prepare_files(
            [*sources(place), str(bad)], tokenizer=tokenizer, output=output, engine=engine
        )
    assert list(output.iterdir()) == []


def test_verb_with_workers(place, alone, tmp_path, monkeypatch):
    argv = ["prepare", *sources(place), "--tokenizer", str(place / "vocab.txt")]
    assert main([*argv, "--output", str(tmp_path / "one")]) == 0
    assert main([*argv, "--output", str(tmp_path / "two"), "--workers", "2"]) == 0
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert main([*argv, "--output", str(tmp_path / "none"), "--workers", "0"]) == 2
