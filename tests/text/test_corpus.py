"""Documents and sentences out of every kind of file."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from litebert.text.corpus import read_documents
from litebert.text.sentences import split_sentences

TEXT = "First line. It goes on.\nSecond line\n\n\n  Another one? Yes!  \n\n"
LINES = [[["First line. It goes on."], ["Second line"]], [["Another one? Yes!"]]]
SENTENCES = [[["First line.", "It goes on."], ["Second line"]], [["Another one?", "Yes!"]]]
ROWS = [{"text": "First line. It goes on.\nSecond line"}, {"text": "Another one? Yes!\n"}]


def packed(path: Path, text: str) -> Path:
    data = text.encode()
    if path.suffix == ".gz":
        data = gzip.compress(data)
    elif path.suffix == ".zst":
        half = len(data) // 2  # two frames, as appending to a file makes them
        data = zstandard.compress(data[:half]) + zstandard.compress(data[half:])
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.zst", "a"])
def test_plain_text_has_blank_lines_between_documents(tmp_path, name):
    path = packed(tmp_path / name, TEXT)
    assert list(read_documents([path])) == SENTENCES
    assert list(read_documents([path], segments="lines")) == LINES
    windows = packed(tmp_path / f"w{name}", "\ufeff" + TEXT.replace("\n", "\r\n"))
    assert list(read_documents([windows])) == SENTENCES


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_a_row_of_jsonl_is_a_document(tmp_path, name):
    path = packed(tmp_path / name, "".join(json.dumps(row) + "\n" for row in ROWS))
    assert list(read_documents([path])) == SENTENCES
    renamed = "".join(json.dumps({"body": row["text"]}) + "\n" for row in ROWS)
    assert list(read_documents([packed(tmp_path / name, renamed)], text_column="body")) == SENTENCES


def test_a_row_of_parquet_is_a_document(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(ROWS * 700), path, row_group_size=300)
    read = []
    assert list(read_documents([path], on_read=read.append)) == SENTENCES * 700
    assert sum(read) == path.stat().st_size


def test_borders_do_not_depend_on_where_blocks_end(tmp_path):
    # Lines of 97 bytes put the ends of blocks of 1 MiB at every place in a line and a document.
    documents = [
        [f"Line {row} of document {number} ".ljust(96, "x") for row in range(3)]
        for number in range(12_000)
    ]
    text = "\n\n".join("\n".join(document) for document in documents)
    path = packed(tmp_path / "a.txt.gz", text)
    read = []
    found = list(read_documents([path], segments="lines", on_read=read.append))
    assert found == [[[line] for line in document] for document in documents]
    assert sum(read) == path.stat().st_size


def test_a_file_without_blank_lines_is_cut_to_bound_memory(tmp_path):
    path = packed(tmp_path / "a.txt", ("x" * 999 + "\n") * 20_000)
    documents = list(read_documents([path], segments="lines"))
    assert [len(document) for document in documents] == [2**24 // 999 + 1, 3_205]


@pytest.mark.parametrize(
    ("line", "sentences"),
    [
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ('"Stop!" He ran. "Why?" she asked.', ['"Stop!"', "He ran.", '"Why?" she asked.']),
        ("Wait... Then (at last) it came. (So!)", ["Wait...", "Then (at last) it came.", "(So!)"]),
        ("Mr. Smith met Dr. J. R. Jones.", ["Mr. Smith met Dr. J. R. Jones."]),
        ("In the U.S. Army, e.g. Ohio. Now", ["In the U.S. Army, e.g. Ohio.", "Now"]),
        ("It cost 3.50 dollars. 20 were sold.", ["It cost 3.50 dollars. 20 were sold."]),
        ("see no. 5 and Fig. A, vs. Bob", ["see no. 5 and Fig. A, vs. Bob"]),
        ("version 2.0 is out. it works", ["version 2.0 is out. it works"]),
        ("École. Été. Ça va", ["École.", "Été.", "Ça va"]),
        (
            "吾輩は猫である。名前は無い！本当？はい",
            ["吾輩は猫である。", "名前は無い！", "本当？", "はい"],
        ),
        ("「行くぞ。」彼は言った。", ["「行くぞ。」", "彼は言った。"]),
        ("यह है। वह था।", ["यह है।", "वह था।"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_end_where_a_reader_ends_them(line, sentences):
    assert split_sentences(line) == sentences


def test_splitting_loses_no_character():
    line = 'A b.  "C d!"   E. F. Gee said so. 続く。終わり。 No. 7 Mr. X ended. Then?! Yes…'
    assert "".join(split_sentences(line)).replace(" ", "") == line.replace(" ", "")
