"""Vocabularies trained here: layout, sizes, and the two saved files against each other."""

import gzip
import json
import time
from pathlib import Path

import pytest
import sentencepiece

from litebert.cli import tokenizer as cli
from litebert.errors import InputError
from litebert.text.tokenizer import load_tokenizer
from litebert.text.vocabulary import USER_SYMBOLS, train_tokenizer

SHARED = Path(__file__).resolve().parents[2] / "../shared"
TEXT = SHARED / "data/corpus/valid/books-fiction.txt.gz"
needs_data = pytest.mark.skipif(not TEXT.exists(), reason="needs ../shared/data")

JAPANESE = (
    "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    "何でも薄暗いじめじめした所でニャーニャー泣いていた事だけは記憶している。"
    "吾輩はここで始めて人間というものを見た。"
)
CHINESE = "天地玄黄，宇宙洪荒。日月盈昃，辰宿列张。寒来暑往，秋收冬藏。"


@pytest.fixture(scope="module")
def lines() -> list[str]:
    return gzip.decompress(TEXT.read_bytes()).decode().split("\n")[:1500]


@needs_data
def test_both_saved_files_give_the_same_ids(tmp_path, lines):
    tokenizer = train_tokenizer(lines, vocab_size=1500)
    tokenizer.save(tmp_path)
    again = load_tokenizer(tmp_path)
    model = sentencepiece.SentencePieceProcessor(model_file=str(tmp_path / "spiece.model"))
    years = ["In 1999, 2000, 13,570 and 1,000,000, all."]
    plain = [line.lower() for line in lines + years if line.isascii() and "''" not in line]
    assert len(plain) > 500
    assert again.encode_batch(plain) == model.encode(plain)
    google = load_tokenizer(tmp_path, convention="google")
    assert google.encode_batch(plain) == model.encode(plain)


@needs_data
def test_the_layout_is_alberts(lines):
    tokenizer = train_tokenizer(lines, vocab_size=1000)
    assert tokenizer.vocab_size == 1000
    assert tokenizer.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    pieces = [tokenizer.piece(number) for number in range(1000)]
    assert tuple(pieces[5:13]) == USER_SYMBOLS
    assert not any(set(piece) & set(USER_SYMBOLS) for piece in pieces[13:])
    assert not any(character.isupper() for piece in pieces[5:] for character in piece)


@needs_data
def test_case_and_accents_are_kept_when_asked(tmp_path, lines):
    text = [*lines, *["Élan Vital, déjà vu chez Zoë"] * 50]
    kept = train_tokenizer(text, vocab_size=1200, cased=True, keep_accents=True)
    kept.save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.decode(again.encode("Élan Vital")) == "Élan Vital"
    plain = train_tokenizer(text, vocab_size=1200)
    assert plain.decode(plain.encode("Élan Vital")) == "elan vital"


@pytest.mark.parametrize(("text", "vocab_size"), [(JAPANESE, 130), (CHINESE, 50)])
def test_scripts_without_spaces_train_from_one_long_line(text, vocab_size):
    # 60,000 characters and no space: far over the trainer's own limit of 4192 bytes a line.
    lines = [text * (60_000 // len(text))]
    tokenizer = train_tokenizer(lines, vocab_size=vocab_size, keep_accents=True)
    ids = tokenizer.encode(text)
    assert tokenizer.unk_id not in ids
    assert len(ids) < len(text)


def test_a_vocabulary_too_large_names_the_largest():
    lines = [JAPANESE] * 20
    with pytest.raises(InputError, match=r"at most \d+") as error:
        train_tokenizer(lines, vocab_size=30_000)
    largest = int(str(error.value).split("at most ")[1].split(";")[0])
    assert train_tokenizer(lines, vocab_size=largest).vocab_size == largest
    with pytest.raises(InputError, match="below the"):
        train_tokenizer(lines, vocab_size=20)
    with pytest.raises(InputError, match="no text"):
        train_tokenizer(["", ""], vocab_size=100)


@needs_data
def test_the_command_trains_and_says_what_it_did(tmp_path, capsys):
    arguments = ["train", str(TEXT), "--vocab-size", "2000", "--output", str(tmp_path / "out")]
    start = time.perf_counter()
    assert cli.main([*arguments, "--json"]) == 0
    assert time.perf_counter() - start < 60
    result = json.loads(capsys.readouterr().out)
    tokenizer = load_tokenizer(tmp_path / "out")
    assert result["vocab_size"] == tokenizer.vocab_size == 2000
    assert result["fingerprint"] == tokenizer.fingerprint
    with pytest.raises(InputError, match="not empty"):
        cli.main(arguments)
    with pytest.raises(InputError, match="litebert tokenizer train"):
        cli.main(["tarin"])
