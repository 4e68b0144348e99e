"""Ids against the sentencepiece library, transformers, and ids recorded from published models."""

import gzip
import json
import string
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import sentencepiece

from litebert.errors import InputError
from litebert.text.combining import combining_class
from litebert.text.tokenizer import load_tokenizer

SHARED = Path(__file__).resolve().parents[2] / "../shared"
ALBERT = SHARED / "data/vocab/albert-30k-clean.model"
BERT = SHARED / "data/vocab/bert-base-uncased-vocab.txt"
pytestmark = pytest.mark.skipif(not ALBERT.exists(), reason="needs ../shared/data")

ODD = [
    "",
    " ",
    "''Ware hounds, man alive!'",
    "``Twas'' '''quoted'''",
    "in 1999, 2000, 13,570, 92000, or 1,000,000, it rose 5,",
    "\u0301leading accent, ﬁ ligature, ½ ① ㎏",
    "zero\u200bwidth \u00ad soft \ufeff bom \x1f unit \x0b tab\tnbsp\u00a0end ",
    "naïve façade Ångström STRASSE ẞ",
    "日本語のテキスト。mixed with 中文，and 한국어",
    "▁typed ▁▁ marks",
]


@pytest.fixture(scope="module")
def lines() -> list[str]:
    files = sorted((SHARED / "data/corpus/valid").glob("*.txt.gz"))
    read = [gzip.decompress(file.read_bytes()).decode().split("\n")[:100] for file in files]
    return [line for file in read for line in file if line] + ODD


def google_ids(text: str, model, *, lower=True, accents=False, quotes=False, fixed=False):
    """reference B.2 written out: preprocess_text, then encode_pieces, then PieceToId."""
    text = " ".join(text.strip().split())
    if quotes:
        text = text.replace("``", '"').replace("''", '"')
    if not accents:
        text = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in text if not unicodedata.combining(c))
    text = text.lower() if lower else text
    pieces = []
    for piece in model.encode_as_pieces(text):
        if len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit():
            parts = model.encode_as_pieces(piece[:-1].replace("▁", ""))
            if fixed and piece[0] != "▁" and parts[0][0] == "▁":
                parts = parts[1:] if len(parts[0]) == 1 else [parts[0][1:], *parts[1:]]
            pieces += [*parts, ","]
        else:
            pieces.append(piece)
    return [model.piece_to_id(piece) for piece in pieces]


@pytest.fixture(scope="module")
def sentencepiece_model():
    return sentencepiece.SentencePieceProcessor(model_file=str(ALBERT))


@pytest.mark.parametrize("cased", [False, True])
@pytest.mark.parametrize("keep_accents", [False, True])
def test_google_convention_is_googles_code(lines, sentencepiece_model, cased, keep_accents):
    tokenizer = load_tokenizer(ALBERT, convention="google", cased=cased, keep_accents=keep_accents)
    rules = {"lower": not cased, "accents": keep_accents}
    for line, ids in zip(lines, tokenizer.encode_batch(lines), strict=True):
        assert ids == google_ids(line, sentencepiece_model, **rules), line
        assert ids == tokenizer.encode(line)


def test_slow_convention_is_the_slow_tokenizer_of_transformers(lines, sentencepiece_model):
    tokenizer = load_tokenizer(ALBERT, convention="transformers-slow")
    for line, ids in zip(lines, tokenizer.encode_batch(lines), strict=True):
        assert ids == google_ids(line, sentencepiece_model, quotes=True, fixed=True), line


def glued_model() -> bytes:
    """A model that has "2000," inside a word, which the released one has not."""
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(ALBERT.read_bytes())
    piece = proto.pieces.add()
    piece.piece, piece.score = "2000,", -1.0
    return proto.SerializeToString()


@pytest.mark.parametrize(
    ("convention", "expected"),
    [
        ("google", ["▁9", "▁2000", ",", "▁and"]),
        ("transformers-slow", ["▁9", "2000", ",", "▁and"]),
        ("transformers", ["▁9", "2000", ",", "▁and"]),
    ],
)
def test_a_comma_glued_to_a_digit_inside_a_word(tmp_path, convention, expected):
    path = tmp_path / "glued.model"
    path.write_bytes(glued_model())
    tokenizer = load_tokenizer(path, convention=convention)
    text = "92000, and"
    assert [tokenizer.piece(number) for number in tokenizer.encode(text)] == expected
    [(ids, offsets)] = tokenizer.encode_with_offsets([text])
    assert ids == tokenizer.encode(text)
    assert [text[start:end].strip() for start, end in offsets] == ["9", "2000", ",", "and"]


def test_ids_recorded_from_published_models():
    tokenizer = load_tokenizer(ALBERT)
    assert tokenizer.encode("This is a test") == [48, 25, 21, 1289]
    fox = [14, 2231, 886, 2385, 17659, 84, 14, 16792, 1952, 9]
    assert tokenizer.encode("The quick brown fox jumps over the lazy dog.") == fox
    falsé = [31, 23, 386, 19, 561, 3050, 15, 17, 48, 25, 8256, 18, 1, 9]
    for convention in ("google", "transformers-slow", "transformers"):
        accents = load_tokenizer(ALBERT, keep_accents=True, convention=convention)
        assert accents.encode("I was born in 92000, and this is falsé.") == falsé
    assert tokenizer.special == {"pad": 0, "unk": 1, "cls": 2, "sep": 3, "mask": 4}
    assert tokenizer.vocab_size == 30_000


def test_special_pieces_in_a_text_are_text(tmp_path, sentencepiece_model):
    text = "a [MASK] b [CLS]x"
    google = load_tokenizer(ALBERT, convention="google")
    assert google.encode(text) == google_ids(text, sentencepiece_model)
    text = "a [MASK] [CLS]x <pad> [SEP]."
    for vocabulary, cased in ((ALBERT, False), (ALBERT, True), (BERT, False), (BERT, True)):
        tokenizer = load_tokenizer(vocabulary, cased=cased)
        reserved = set(tokenizer.special.values()) - {tokenizer.unk_id}
        assert not reserved & set(tokenizer.encode(text)), (vocabulary, cased)
    from sentencepiece import sentencepiece_model_pb2

    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(ALBERT.read_bytes())
    for item in proto.pieces[5:]:  # a vocabulary without brackets
        item.piece = item.piece.replace("[", "@").replace("]", "@")
    path = tmp_path / "bare.model"
    path.write_bytes(proto.SerializeToString())
    bare = load_tokenizer(path, cased=True)
    assert bare.mask_id not in bare.encode(text)
    assert bare.mask_id in bare.encode_with_mask(text)


def test_a_typed_mask_is_the_mask_only_where_asked():
    tokenizer = load_tokenizer(ALBERT)
    text = "The sky is [MASK]. [MASK] is [CLS]"
    assert tokenizer.mask_id not in tokenizer.encode(text)
    assert tokenizer.cls_id not in tokenizer.encode_with_mask(text)
    pieces = [tokenizer.piece(number) for number in tokenizer.encode_with_mask(text)]
    assert pieces[:7] == ["▁the", "▁sky", "▁is", "[MASK]", ".", "[MASK]", "▁is"]
    bert = load_tokenizer(BERT)
    assert bert.encode_with_mask("[MASK] it") == [bert.mask_id, *bert.encode("it")]


@pytest.mark.parametrize("convention", ["transformers", "google"])
@pytest.mark.parametrize("vocabulary", [ALBERT, BERT])
def test_saved_files_give_the_same_ids_in_transformers(tmp_path, lines, vocabulary, convention):
    transformers = pytest.importorskip("transformers")
    if vocabulary == BERT and convention == "google":
        pytest.skip("WordPiece has one convention")
    tokenizer = load_tokenizer(vocabulary, convention=convention)
    tokenizer.save(tmp_path)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    again = load_tokenizer(tmp_path)
    assert again.fingerprint == tokenizer.fingerprint
    assert again.convention == convention
    ours = tokenizer.encode_batch(lines)
    assert again.encode_batch(lines) == ours
    # Specials in the text are specials for transformers, and a leading accent takes ▁ along there.
    plain = [text not in ODD or not set(text) & set("[\u0301▁") for text in lines]
    different = sum(
        theirs(text, add_special_tokens=False)["input_ids"] != ids
        for text, ids, compare in zip(lines, ours, plain, strict=True)
        if compare
    )
    assert different <= (2 if convention == "google" else 0)
    assert theirs.vocab_size == tokenizer.vocab_size
    for name, number in tokenizer.special.items():
        assert getattr(theirs, f"{name}_token_id") == number
    pair = theirs("this", "is")
    cls, sep = tokenizer.cls_id, tokenizer.sep_id
    this, is_ = tokenizer.encode("this"), tokenizer.encode("is")
    assert pair["input_ids"] == [cls, *this, sep, *is_, sep]
    assert pair["token_type_ids"] == [0, 0, 0, 1, 1]
    masked = "The sky is [MASK]. It [MASK] rains"
    assert tokenizer.encode_with_mask(masked) == theirs(masked, add_special_tokens=False).input_ids


@pytest.mark.parametrize("cased", [False, True])
def test_bert_ids_are_those_of_transformers(lines, cased):
    transformers = pytest.importorskip("transformers")
    theirs = transformers.BertTokenizer(str(BERT), do_lower_case=not cased)
    tokenizer = load_tokenizer(BERT, cased=cased)
    texts = [line for line in lines if "[" not in line]
    expected = theirs(texts, add_special_tokens=False)["input_ids"]
    assert tokenizer.encode_batch(texts) == expected
    assert tokenizer.special == {"pad": 0, "unk": 100, "cls": 101, "sep": 102, "mask": 103}


def test_options_live_in_the_files(tmp_path):
    load_tokenizer(ALBERT, cased=True, keep_accents=True, convention="google").save(tmp_path)
    again = load_tokenizer(tmp_path)
    assert (again.cased, again.keep_accents, again.convention) == (True, True, "google")
    assert (tmp_path / "spiece.model").read_bytes() == ALBERT.read_bytes()
    changed = load_tokenizer(tmp_path, cased=False)
    assert changed.encode("This") == [48]
    assert changed.fingerprint != again.fingerprint


def test_word_starts_follow_googles_rule():
    tokenizer = load_tokenizer(ALBERT)
    starts = tokenizer.word_starts()
    assert starts.shape == (30_000,)
    assert starts.dtype == bool
    # From reference B.5: ▁ and < open a word; so do ' = digits and foreign letters; "s" does not.
    ids = {tokenizer.piece(number): number for number in range(tokenizer.vocab_size)}
    for piece in ("▁the", "<unk>", ",", ".", "(", "'", "=", "2000", "é"):
        if piece in ids:
            assert starts[ids[piece]], piece
    for piece in ("s", "ing", "ed"):
        assert not starts[ids[piece]], piece
    joining = set(string.ascii_lowercase) | set('!"#$%&()*+,-./:;?@[\\]^_`{|}~')
    for piece, number in ids.items():
        opens = piece[0] in "▁<" or not set(piece.lower()) <= joining
        single = len(piece) == 1 and piece in string.punctuation
        assert starts[number] == (opens or single), piece
    bert = load_tokenizer(BERT)
    pieces = np.array([bert.piece(number) for number in range(bert.vocab_size)])
    assert (bert.word_starts() == ~np.char.startswith(pieces, "##")).all()


def test_combining_characters_are_those_of_unicode():
    import re

    found = set(re.findall(combining_class(), "".join(map(chr, range(0xD800)))))
    theirs = {chr(c) for c in range(0xD800) if unicodedata.combining(chr(c))}
    newer = tuple(map(int, unicodedata.unidata_version.split("."))) > (14,)
    assert found <= theirs if newer else theirs <= found


def test_decode_gives_the_words_back():
    tokenizer = load_tokenizer(ALBERT)
    ids = [2, *tokenizer.encode("This is, perhaps, a test."), 3]
    assert tokenizer.decode(ids) == "this is, perhaps, a test."


def test_offsets_point_at_the_words():
    tokenizer = load_tokenizer(ALBERT)
    text = "\u200bThe  naïve ﬁsh, 2000, ''ends''"
    [(ids, offsets)] = tokenizer.encode_with_offsets([text])
    assert ids == tokenizer.encode(text)
    found = {tokenizer.piece(n): text[a:b].strip() for n, (a, b) in zip(ids, offsets, strict=True)}
    assert found["▁naive"] == "naïve"
    assert found["▁fish"] == "ﬁsh"
    assert found["▁2000"] == "2000"


def test_what_cannot_be_loaded_is_named(tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "bad.model").write_bytes(b"\xff\x00 no model")
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\nhello\n")
    (tmp_path / "tokenizer.json").write_text("{")
    (tmp_path / "bpe.model").write_bytes(ALBERT.read_bytes().replace(b"[MASK]", b"[MOSK]"))
    for name, part in {
        "empty": "no tokenizer.json",
        "bad.model": "SentencePiece",
        "vocab.txt": "[CLS]",
        "tokenizer.json": "tokenizer.json",
        "bpe.model": "no piece [MASK]",
        "missing.model": "no such file",
    }.items():
        with pytest.raises(InputError) as error:
            load_tokenizer(tmp_path / name)
        assert part in str(error.value)
        assert name in str(error.value)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="google"):
        load_tokenizer(BERT, convention="google")
    with pytest.raises(InputError, match="not one of"):
        load_tokenizer(ALBERT, convention="googel")
    load_tokenizer(ALBERT).save(tmp_path / "fixed")
    with pytest.raises(InputError, match="fixed"):
        load_tokenizer(tmp_path / "fixed/tokenizer.json", cased=True)
    with pytest.raises(InputError, match="outside"):
        load_tokenizer(ALBERT).piece(30_000)


def test_lone_surrogates_are_text():
    tokenizer = load_tokenizer(ALBERT)
    text = json.loads('"a \\ud800 b"')
    assert tokenizer.encode(text) == tokenizer.encode("a ? b")
