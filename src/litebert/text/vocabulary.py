"""Trains a SentencePiece unigram vocabulary with the settings of ALBERT's README.

Training text goes through the same steps as text at run time (lower case, accents, quotes), so what
is learned is what will be seen. The trainer is the sentencepiece library, ALBERT's own.
"""

import io
import os
import re
from collections.abc import Iterable, Iterator

import sentencepiece
from tokenizers import normalizers

from litebert.errors import InputError
from litebert.text.backends import demote_glued, text_steps
from litebert.text.tokenizer import Tokenizer, from_sentencepiece, new_settings

USER_SYMBOLS = ("(", ")", '"', "-", ".", "–", "£", "€")
# The trainer drops lines of over 4192 bytes; a character takes up to four.
_LINE_CHARACTERS = 1024


def train_tokenizer(
    lines: Iterable[str],
    *,
    vocab_size: int = 30_000,
    cased: bool = False,
    keep_accents: bool = False,
    sample: int = 10_000_000,
    at_most: bool = False,
) -> Tokenizer:
    """Train an ALBERT tokenizer on lines of text: pad 0, unk 1, [CLS] 2, [SEP] 3, [MASK] 4.

    `sample` lines at most, drawn at random, are trained on. With `at_most` a text that cannot fill
    the vocabulary gets a smaller one. A piece that glues a comma to a digit is put out of reach in
    the model itself, so that every convention gives the same ids.

    Raises InputError when the text is empty or, without `at_most`, cannot fill the vocabulary
    (naming the maximum).
    """
    out = io.BytesIO()
    steps = normalizers.Sequence(text_steps(cased=cased, keep_accents=keep_accents))
    texts = (steps.normalize_str(part) for line in lines for part in _parts(line))
    try:
        sentencepiece.SentencePieceTrainer.Train(
            sentence_iterator=_some(texts),
            model_writer=out,
            model_type="unigram",
            vocab_size=vocab_size,
            hard_vocab_limit=not at_most,
            pad_id=0,
            unk_id=1,
            bos_id=-1,
            eos_id=-1,
            control_symbols=["[CLS]", "[SEP]", "[MASK]"],
            user_defined_symbols=list(USER_SYMBOLS),
            input_sentence_size=sample,
            shuffle_input_sentence=True,
            character_coverage=0.99995,
            normalization_rule_name="nmt_nfkc",
            num_threads=os.cpu_count() or 1,
            minloglevel=2,
        )
    except (RuntimeError, OSError) as error:
        raise _explain(str(error), vocab_size) from None
    settings = new_settings(cased=cased, keep_accents=keep_accents)
    return from_sentencepiece(demote_glued(out.getvalue()), settings=settings, name="spiece.model")


def _parts(line: str) -> Iterator[str]:
    while len(line) > _LINE_CHARACTERS:
        cut = line.rfind(" ", 1, _LINE_CHARACTERS)
        cut = _LINE_CHARACTERS if cut < 0 else cut
        yield line[:cut]
        line = line[cut:]
    yield line


def _some(texts: Iterator[str]) -> Iterator[str]:
    empty = True
    for text in texts:
        if text:
            empty = False
            yield text
    if empty:
        raise InputError("no text to train a vocabulary on; give files that have some")


def _explain(reason: str, vocab_size: int) -> InputError:
    if found := re.search(r"too high.*<= (\d+)", reason, re.DOTALL):
        return InputError(
            f"vocab_size={vocab_size} is more than this text allows: at most {found[1]}; "
            "lower it or give more text"
        )
    if found := re.search(r"smaller than required_chars\. *\d+ vs (\d+)", reason):
        return InputError(
            f"vocab_size={vocab_size} is below the {found[1]} characters of this text; raise it"
        )
    return InputError(f"the vocabulary cannot be trained: {' '.join(reason.split())}")
