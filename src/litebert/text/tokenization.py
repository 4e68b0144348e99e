"""Text to ids and back for ALBERT and BERT vocabularies, on the `tokenizers` library.

Follows google-research/albert `tokenization.py`; what is saved loads in transformers with the same
ids. Where Google's code and transformers differ, `convention` chooses (see tokenizer.py).
"""

import hashlib
import json
import string
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers

from litebert.errors import InputError
from litebert.text.backends import (
    SPACE,
    Convention,
    glued_pieces,
    sentencepiece_backend,
)

_NAMES = {
    "pad": ("<pad>", "[PAD]"),
    "unk": ("<unk>", "[UNK]"),
    "cls": ("[CLS]", "<s>", "<cls>"),
    "sep": ("[SEP]", "</s>", "<sep>"),
    "mask": ("[MASK]", "<mask>"),
}
CONVENTION_KEY = "litebert_convention"
# Punctuation that Google's masking lets continue a word; ' = < > are words of their own there.
_JOINS_WORD = frozenset(string.ascii_lowercase) | (
    frozenset(string.punctuation) - frozenset("'=<>")
)


class Tokenizer:
    """A vocabulary and the rules from text to its ids; make one with `load_tokenizer`.

    Special pieces typed in a text are text: `encode` never returns the id of [MASK] for it.
    """

    def __init__(
        self,
        backend: tokenizers.Tokenizer,
        *,
        settings: dict[str, Any],
        model: bytes | None = None,
    ) -> None:
        """Wraps a pipeline. `settings` is tokenizer_config.json, `model` the SentencePiece file."""
        self.settings = settings
        self._model = model
        self._backend = backend
        backend.encode_special_tokens = True
        backend.no_padding()
        backend.no_truncation()
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = (
            _special_id(backend, settings, name) for name in _NAMES
        )
        # A pipeline makes "<pad>" of a text a special piece when it knows no ">": unknown, then.
        reserved = (self.pad_id, self.cls_id, self.sep_id, self.mask_id)
        self._rewrites = {number: [self.unk_id] for number in reserved}
        if self.convention != "transformers":
            self._rewrites |= glued_pieces(backend, self.convention)

    @property
    def convention(self) -> Convention:
        """Whose rules are followed where Google's code and transformers differ."""
        return self.settings.get(CONVENTION_KEY, "transformers")

    @property
    def cased(self) -> bool:
        """Whether upper case is kept."""
        return not self.settings.get("do_lower_case", True)

    @property
    def keep_accents(self) -> bool:
        """Whether accents are kept."""
        return bool(self.settings.get("keep_accents", False))

    @property
    def vocab_size(self) -> int:
        """V: entries of the vocabulary, special pieces included."""
        return self._backend.get_vocab_size()

    @property
    def special(self) -> dict[str, int]:
        """The ids of pad, unk, cls, sep and mask by name."""
        return {name: getattr(self, f"{name}_id") for name in _NAMES}

    def encode(self, text: str) -> list[int]:
        """The ids of a text, without [CLS] and [SEP]."""
        return self._rewrite(self._backend.encode(self._clean(text), add_special_tokens=False).ids)

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """The ids of many texts, as `encode` gives them, on all cores."""
        batch = [self._clean(text) for text in texts]
        encodings = self._backend.encode_batch_fast(batch, add_special_tokens=False)
        return [self._rewrite(encoding.ids) for encoding in encodings]

    def encode_with_offsets(
        self, texts: Sequence[str]
    ) -> list[tuple[list[int], list[tuple[int, int]]]]:
        """The ids of many texts and, for each id, the characters [start, end) it came from."""
        batch = [self._clean(text) for text in texts]
        encodings = self._backend.encode_batch(batch, add_special_tokens=False)
        return [
            self._rewrite_with_offsets(encoding, shift=len(text) - len(cleaned))
            for encoding, text, cleaned in zip(encodings, texts, batch, strict=True)
        ]

    def encode_with_mask(self, text: str) -> list[int]:
        """The ids of a text in which a typed [MASK] is the mask: for fill-mask only."""
        ids = self._mask_backend.encode(self._clean(text), add_special_tokens=False).ids
        return [
            part
            for number in ids
            for part in ([number] if number == self.mask_id else self._rewrite([number]))
        ]

    def decode(self, ids: Sequence[int]) -> str:
        """The text of ids, special pieces left out."""
        return self._backend.decode([int(number) for number in ids], skip_special_tokens=True)

    def piece(self, id: int) -> str:
        """The piece with an id. Raises InputError when there is none."""
        piece = self._backend.id_to_token(int(id))
        if piece is None:
            raise InputError(f"id {id} is outside the vocabulary of {self.vocab_size} pieces")
        return piece

    def word_starts(self) -> np.ndarray:
        """Which pieces open a word: (V,) bool, for whole-word masking.

        Google's `is_start_piece` in create_pretraining_data.py. WordPiece: all but "##...".
        SentencePiece: begins with ▁ or <, is punctuation, or holds anything but a-z (upper case
        counts as lower) and punctuation. Digits and foreign letters are thus words of their own.
        """
        pieces = [self.piece(number) for number in range(self.vocab_size)]
        if any(piece.startswith("##") for piece in pieces):
            return np.array([not piece.startswith("##") for piece in pieces])
        return np.array([_starts_word(piece) for piece in pieces])

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over all that decides ids; equal fingerprints give equal ids."""
        # The library reads a float back from JSON one bit off now and then.
        pipeline = json.loads(
            self._backend.to_str(), parse_float=lambda text: round(float(text), 6)
        )
        content = {key: pipeline[key] for key in ("normalizer", "pre_tokenizer", "model")}
        content |= {"special": self.special, "rewrites": sorted(self._rewrites.items())}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def words_are_independent(self) -> bool:
        """Whether the ids of a text are those of its parts between single spaces, end to end."""
        pipeline = json.loads(self._backend.to_str())
        kinds = [(pipeline[part] or {}).get("type") for part in ("normalizer", "pre_tokenizer")]
        ours = self._model is not None and CONVENTION_KEY in self.settings
        return ours or kinds == ["BertNormalizer", "BertPreTokenizer"]

    def save(self, directory: str | Path) -> None:
        """Writes tokenizer.json, tokenizer_config.json and, where there is one, spiece.model.

        transformers' AutoTokenizer loads the directory with no code of ours and gives the same ids
        under the default convention. tokenizer.json cannot say "split this piece afterwards", so
        under the other two it demotes those pieces; `load_tokenizer` restores the exact rule.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        backend = self._backend
        if self._model is not None:
            (directory / "spiece.model").write_bytes(self._model)
        if self._model is not None and self.convention != "transformers":
            backend = sentencepiece_pipeline(
                self._model, self.settings, name="spiece.model", demote=True
            )
        (directory / "tokenizer.json").write_text(backend.to_str(), encoding="utf-8")
        named = {f"{name}_token": self.piece(number) for name, number in self.special.items()}
        settings = {**self.settings, **named}
        (directory / "tokenizer_config.json").write_text(
            json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )

    @cached_property
    def _mask_backend(self) -> tokenizers.Tokenizer:
        pipeline = json.loads(self._backend.to_str())
        mask = {
            "id": self.mask_id,
            "content": self.piece(self.mask_id),
            "special": True,
            "single_word": False,
            "lstrip": True,
            "rstrip": False,
            "normalized": False,
        }
        pipeline["added_tokens"] = [mask]
        pipeline["post_processor"] = None
        return tokenizers.Tokenizer.from_str(json.dumps(pipeline))

    def _clean(self, text: str) -> str:
        if text.isascii() and text[:1] > " ":
            return text
        # Lone surrogates come out of JSON escapes and cannot be encoded as UTF-8.
        text = text.encode("utf-8", "replace").decode("utf-8")
        # The pipeline puts ▁ before character 0 of a text; one that it drops would take ▁ along.
        normalize = self._backend.normalizer.normalize_str if self._backend.normalizer else str
        start = 0
        while start < len(text) and not normalize(text[start]):
            start += 1
        return text[start:]

    def _rewrite(self, ids: list[int]) -> list[int]:
        if self._rewrites.keys().isdisjoint(ids):
            return ids
        return [part for number in ids for part in self._rewrites.get(number, (number,))]

    def _rewrite_with_offsets(
        self, encoding: Any, *, shift: int
    ) -> tuple[list[int], list[tuple[int, int]]]:
        if not shift and self._rewrites.keys().isdisjoint(encoding.ids):
            return encoding.ids, encoding.offsets
        offsets = []
        for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            start, end = start + shift, end + shift
            parts = len(self._rewrites.get(number, (number,)))
            comma = [(end - 1, end)] if parts > 1 else []
            offsets += [(start, end - len(comma))] * (parts - len(comma)) + comma
        return self._rewrite(encoding.ids), offsets


def sentencepiece_pipeline(
    model: bytes, settings: dict[str, Any], *, name: str, demote: bool
) -> tokenizers.Tokenizer:
    """The pipeline that settings (tokenizer_config.json) ask for; `name` is for messages."""
    return sentencepiece_backend(
        model,
        cased=not settings["do_lower_case"],
        keep_accents=settings["keep_accents"],
        quotes=settings[CONVENTION_KEY] != "google",
        demote=demote,
        name=name,
    )


def _special_id(backend: tokenizers.Tokenizer, settings: dict[str, Any], name: str) -> int:
    token = settings.get(f"{name}_token")
    token = token["content"] if isinstance(token, dict) else token
    for piece in (token, *_NAMES[name]):
        number = None if piece is None else backend.token_to_id(piece)
        if number is not None:
            return number
    raise InputError(f"the vocabulary has no {name} piece, such as {_NAMES[name][0]}; use another")


def _starts_word(piece: str) -> bool:
    if piece.startswith((SPACE, "<")) or (len(piece) == 1 and piece in string.punctuation):
        return True
    return not all(character.lower() in _JOINS_WORD for character in piece)
