"""Vocabulary files turned into `tokenizers` pipelines: ALBERT's SentencePiece, BERT's WordPiece.

Follow `tokenization.py` of google-research/albert (preprocess_text, encode_pieces) and of
google-research/bert. Every step that decides ids is in the pipeline, hence in tokenizer.json; the
one exception, the splitting of "digit + comma" pieces, is `glued_pieces`.
"""

from pathlib import Path
from typing import Any, Literal

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    normalizers,
    pre_tokenizers,
    processors,
)
from tokenizers.models import Unigram, WordPiece

from litebert.errors import InputError
from litebert.text.combining import combining_class

Convention = Literal["transformers", "transformers-slow", "google"]

SPACE = "▁"
# What Python's str.split() takes for white space and the character map of SentencePiece does not.
_CONTROL_SPACES = "[\x0b\x1c-\x1f\x85]"
# Out of reach of any path, yet still the last resort: transformers' converter uses the same number.
_DEMOTION = 100.0
_MARK = "\ue000"
_SENTENCEPIECE_SPECIALS = ("<pad>", "<unk>", "[CLS]", "[SEP]", "[MASK]")
_WORDPIECE_SPECIALS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def is_glued(piece: str) -> bool:
    """Whether a piece is a digit and a comma that SentencePiece learned as one, such as "9,"."""
    return len(piece) > 1 and piece[-1] == "," and piece[-2].isdigit()


def sentencepiece_backend(
    model: bytes, *, cased: bool, keep_accents: bool, quotes: bool, demote: bool, name: str
) -> Tokenizer:
    """The pipeline of a SentencePiece unigram model.

    `quotes` makes `` and '' into ", `demote` puts glued pieces out of reach. `name` is the file,
    for messages. Raises InputError when the bytes are no unigram with ALBERT's special pieces.
    """
    proto = _parse(model, name)
    # SentencePiece never makes a control piece out of text; this library would, score 0 being best.
    specials = _SENTENCEPIECE_SPECIALS
    pieces = [
        (
            item.piece,
            item.score - _DEMOTION * (item.piece in specials or (demote and is_glued(item.piece))),
        )
        for item in proto.pieces
    ]
    backend = Tokenizer(Unigram(pieces, proto.trainer_spec.unk_id, False))
    steps = text_steps(cased=cased, keep_accents=keep_accents, quotes=quotes)
    steps += [
        normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap),
        normalizers.Replace(Regex(" {2,}"), " "),
        normalizers.Replace(Regex(" $"), ""),
    ]
    backend.normalizer = normalizers.Sequence(steps)
    # "first" and no stripping at the left: what follows a mask keeps or lacks its space as typed.
    backend.pre_tokenizer = pre_tokenizers.Metaspace(SPACE, "first")
    backend.decoder = decoders.Metaspace(SPACE, "first")
    _add_specials(backend, _SENTENCEPIECE_SPECIALS)
    return backend


def demote_glued(model: bytes) -> bytes:
    """The same SentencePiece model with its glued pieces put out of reach."""
    proto = _parse(model, "spiece.model")
    for item in proto.pieces:
        item.score -= _DEMOTION * is_glued(item.piece)
    return proto.SerializeToString()


def text_steps(*, cased: bool, keep_accents: bool, quotes: bool = True) -> list:
    """What happens to a text before SentencePiece sees it, in training and at run time alike."""
    steps: list = [normalizers.Replace(Regex(_CONTROL_SPACES), " ")]
    if quotes:
        steps += _quote_steps()
    if not keep_accents:
        steps += [normalizers.NFKD(), normalizers.Replace(Regex(combining_class()), "")]
    if not cased:
        steps.append(normalizers.Lowercase())
    return steps


def glued_pieces(backend: Tokenizer, convention: Convention) -> dict[int, list[int]]:
    """The ids that replace each glued piece after encoding, by the id of the piece.

    A glued piece becomes the pieces of its number and a comma. Encoding the number alone puts a ▁
    in front. Google's code means to take that ▁ off again when the piece had none, but compares
    bytes with text and never does, so "2000," inside a word becomes "▁2000" and ",". transformers'
    slow tokenizer takes it off.
    """
    unk, vocabulary = backend.token_to_id("<unk>"), backend.get_vocab()
    table = {}
    for piece, number in vocabulary.items():
        if not is_glued(piece):
            continue
        parts = backend.encode(piece[:-1].replace(SPACE, ""), add_special_tokens=False).tokens
        if convention == "transformers-slow" and piece[0] != SPACE and parts[0][0] == SPACE:
            parts = parts[1:] if parts[0] == SPACE else [parts[0][1:], *parts[1:]]
        table[number] = [vocabulary.get(part, unk) for part in [*parts, ","]]
    return table


def wordpiece_backend(path: Path, *, cased: bool, keep_accents: bool) -> Tokenizer:
    """The pipeline of a BERT vocab.txt, one piece a line.

    Raises InputError when a special piece is missing or the file holds a piece twice.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8; give a vocab.txt") from None
    vocabulary = {piece: number for number, piece in enumerate(lines)}
    if len(vocabulary) < len(lines):
        raise InputError(f"{path}: a piece occurs twice in {len(lines)} lines; mend the vocabulary")
    if missing := [piece for piece in _WORDPIECE_SPECIALS if piece not in vocabulary]:
        raise InputError(
            f"{path}: no line {missing[0]}; a BERT vocab.txt has {' '.join(_WORDPIECE_SPECIALS)}"
        )
    backend = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.BertNormalizer(
        strip_accents=not keep_accents and not cased, lowercase=not cased
    )
    backend.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    backend.decoder = decoders.WordPiece()
    _add_specials(backend, _WORDPIECE_SPECIALS)
    return backend


def _quote_steps() -> list:
    # The library files a replaced pair under its second character, and ▁ goes only before what is
    # filed under the first: so a pair that begins the text is marked and shortened in single steps.
    pair = ["``", "''"]
    opening = f"\\A(?:{'|'.join(f'{p[0]}(?={p[0]})' for p in pair)})"
    return [
        normalizers.Replace(Regex(opening), _MARK),
        normalizers.Replace(Regex(f"(?<={_MARK})[`']"), ""),
        *(normalizers.Replace(text, '"') for text in (_MARK, *pair)),
    ]


def _add_specials(backend: Tokenizer, specials: tuple[str, ...]) -> None:
    """Registers the special pieces and the layout [CLS] A [SEP] B [SEP] with types 0 and 1."""
    cls, sep, mask = specials[2:]
    backend.add_special_tokens(
        [
            AddedToken(piece, special=True, normalized=False, lstrip=piece == mask)
            for piece in specials
        ]
    )
    backend.post_processor = processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 $B:1 {sep}:1",
        special_tokens=[(piece, backend.token_to_id(piece)) for piece in (cls, sep)],
    )


def _parse(model: bytes, name: str) -> Any:
    from google.protobuf.message import DecodeError
    from sentencepiece import sentencepiece_model_pb2

    schema: Any = sentencepiece_model_pb2  # its classes are made at import
    proto = schema.ModelProto()
    try:
        proto.ParseFromString(model)
    except DecodeError:
        raise InputError(f"{name}: no SentencePiece model; give the .model of a unigram") from None
    if proto.trainer_spec.model_type != schema.TrainerSpec.UNIGRAM:
        raise InputError(f"{name}: not a unigram model, which ALBERT's tokenizer is")
    known = {item.piece for item in proto.pieces}
    if missing := [piece for piece in _SENTENCEPIECE_SPECIALS if piece not in known]:
        raise InputError(
            f"{name}: no piece {missing[0]}; train a vocabulary with 'litebert tokenizer train'"
        )
    return proto
