"""Damaged text and damaged shards: one line that names file and byte, and nothing half-read."""

import errno
import gzip
import json
from pathlib import Path

import pytest
import zstandard

from litebert.errors import InputError
from litebert.text import shard_writer
from litebert.text.corpus import read_documents
from litebert.text.prepare import prepare
from litebert.text.shards import Shards, verify
from litebert.text.vocabulary import train_tokenizer

SENTENCE = "The quick brown fox jumps over the lazy dog and a cat"


@pytest.fixture(scope="module")
def tokenizer():
    return train_tokenizer([SENTENCE] * 50, vocab_size=40)


def documents(count: int = 30):
    return [[[f"{SENTENCE} number {row}", "once more"], ["again"]] for row in range(count)]


def one_line(error, *parts: object) -> None:
    message = str(error.value)
    assert "\n" not in message
    for part in parts:
        assert str(part) in message


@pytest.mark.parametrize(
    ("name", "content", "parts"),
    [
        ("empty.txt", b"", ["no text"]),
        ("blank.txt", b" \n\n \n", ["no text"]),
        ("binary.txt", b"plain\n\x00\x01", ["byte 6", "NUL"]),
        ("latin.txt", "caf\u00e9 au lait\n".encode("latin-1"), ["byte 3", "UTF-8"]),
        ("utf16.txt", "wide".encode("utf-16"), ["byte 3", "NUL"]),
        ("far.txt", b"x" * 99 + b"\n" + b"ok\n" * 600_000 + b"\xff\n", ["byte 1800100"]),
        ("cut.txt.gz", gzip.compress(b"some text\n" * 9999)[:-30], ["damaged"]),
        ("flipped.txt.gz", b"\x1f\x8b\x08\x00" + b"\xff" * 40, ["damaged"]),
        ("plain.txt.gz", b"no gzip at all\n", ["damaged"]),
        ("cut.txt.zst", zstandard.compress(b"some text\n" * 9999)[:-9], ["damaged"]),
        ("plain.txt.zst", b"no zstandard\n", ["damaged"]),
        ("bad.jsonl", b'{"text": "ok"}\n{"text": \n', ["byte 15", "JSON"]),
        ("column.jsonl", b'{"body": "ok"}\n', ["byte 0", "'text'", "body", "--text-column"]),
        ("number.jsonl", b'{"text": 5}\n', ["byte 0", "'text'"]),
        ("list.jsonl", b"[1]\n", ["byte 0"]),
        ("bad.parquet", b"PAR1 nothing", ["Parquet"]),
    ],
)
def test_bad_files_are_named_with_their_byte(tmp_path, name, content, parts):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as error:
        list(read_documents([path]))
    one_line(error, path, *parts)


def test_missing_files_and_directories_are_named(tmp_path):
    for path, part in ((tmp_path / "none.txt", "no such file"), (tmp_path, "directory")):
        with pytest.raises(InputError) as error:
            list(read_documents([path]))
        one_line(error, path, part)


def test_a_missing_parquet_column_is_named(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"body": ["x"]}), tmp_path / "a.parquet")
    with pytest.raises(InputError) as error:
        list(read_documents([tmp_path / "a.parquet"]))
    one_line(error, "'text'", "body", "--text-column")


def test_an_interrupted_preparation_leaves_nothing_to_load(tmp_path, tokenizer):
    def interrupted():
        yield from documents(200)
        raise KeyboardInterrupt

    output = tmp_path / "shards"
    with pytest.raises(KeyboardInterrupt):
        prepare(interrupted(), tokenizer=tokenizer, output=output, shard_bytes=100)
    with pytest.raises(InputError) as error:
        Shards.open(output)
    one_line(error, output, "interrupted", "prepare")
    assert prepare(documents(), tokenizer=tokenizer, output=output).num_documents == 30


def test_a_killed_preparation_is_refused(tmp_path, tokenizer):
    shards = prepare(documents(), tokenizer=tokenizer, output=tmp_path / "a")
    (shards.path / "index.json").unlink()
    with pytest.raises(InputError, match="interrupted"):
        Shards.open(shards.path)
    with pytest.raises(InputError, match="not empty"):
        prepare(documents(), tokenizer=tokenizer, output=shards.path)


def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, tokenizer, monkeypatch):
    calls = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) > 5:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shard_writer.os, "fsync", full)
    output = tmp_path / "shards"
    with pytest.raises(InputError) as error:
        prepare(documents(), tokenizer=tokenizer, output=output, shard_bytes=200)
    one_line(error, output, "disk is full")
    assert not list(output.iterdir())


def test_no_text_at_all_is_an_error(tmp_path, tokenizer):
    with pytest.raises(InputError, match="no text"):
        prepare([[[" "]], []], tokenizer=tokenizer, output=tmp_path / "none")


@pytest.mark.parametrize("damage", ["cut", "grown", "missing", "flipped", "header"])
def test_verify_names_the_damaged_file(tmp_path, tokenizer, damage):
    shards = prepare(documents(), tokenizer=tokenizer, output=tmp_path / "a", shard_bytes=400)
    assert len(shards.shards) > 2
    verify(shards.path)
    file = shards.path / shards.shards[1].file
    content = bytearray(file.read_bytes())
    if damage == "missing":
        file.unlink()
    elif damage == "cut":
        file.write_bytes(content[:-1])
    elif damage == "grown":
        file.write_bytes(content + b"\0")
    else:
        content[-3 if damage == "flipped" else 9] ^= 0x40
        file.write_bytes(content)
    with pytest.raises(InputError) as error:
        verify(shards.path)
    one_line(error, file, "prepare")


@pytest.mark.parametrize(
    "edit",
    [
        lambda index: index.update(version=99),
        lambda index: index.update(format="other"),
        lambda index: index.update(tokens=index["tokens"] + 1),
        lambda index: index.pop("shards"),
        lambda index: index["shards"][0].pop("segments"),
        lambda index: index.update(dtype="uint32"),
    ],
)
def test_an_altered_index_is_refused(tmp_path, tokenizer, edit):
    path = prepare(documents(), tokenizer=tokenizer, output=tmp_path / "a").path
    index = json.loads((path / "index.json").read_text())
    edit(index)
    (path / "index.json").write_text(json.dumps(index))
    with pytest.raises(InputError) as error:
        Shards.open(path)
    one_line(error, path)
    (path / "index.json").write_bytes(b"{\xff")
    with pytest.raises(InputError, match="damaged"):
        Shards.open(Path(path))
