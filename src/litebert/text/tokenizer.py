"""The door to tokenizers: `Tokenizer` and `load_tokenizer`, from whatever a vocabulary comes as."""

from pathlib import Path
from typing import Any, get_args

from litebert.errors import InputError
from litebert.text.backends import Convention, wordpiece_backend
from litebert.text.tokenization import CONVENTION_KEY, Tokenizer, sentencepiece_pipeline
from litebert.text.tokenizer_files import choose, from_hub, read_json, read_settings

__all__ = ["Convention", "Tokenizer", "from_sentencepiece", "load_tokenizer", "new_settings"]

_PATTERNS = ("tokenizer.json", "*.model", "vocab.txt")


def load_tokenizer(
    source: str | Path,
    *,
    convention: Convention | None = None,
    cased: bool | None = None,
    keep_accents: bool | None = None,
) -> Tokenizer:
    """Loads a tokenizer: a directory, tokenizer.json, SentencePiece .model, vocab.txt or hub id.

    Google's ALBERT code and transformers differ in two rules, and `convention` chooses:

    - "transformers" (default): `` and '' become ", and a piece that glues a comma to a digit
      ("2000,") is avoided. tokenizer.json says all of it, so every program gets the same ids.
    - "transformers-slow": the same quotes; glued pieces are split afterwards, as transformers 4 did
      without tokenizer.json.
    - "google": quotes stay, glued pieces are split as Google's code does (`glued_pieces`): the ids
      that the released models were trained on.

    With the released English model the three agree on all but one in about 10,000 lines of prose.
    `convention` other than the default needs a SentencePiece model. `cased` and `keep_accents`
    default to what the directory says, else to False: lower case, no accents.

    Raises InputError when nothing loadable is found.
    """
    path = Path(source)
    if not path.exists():
        path = from_hub(str(source))
    settings = {} if path.is_file() and path.suffix != ".json" else read_settings(path)
    known = {
        CONVENTION_KEY: "transformers",
        "do_lower_case": True,
        "keep_accents": False,
    } | settings
    asked = {CONVENTION_KEY: convention, "keep_accents": keep_accents}
    asked["do_lower_case"] = None if cased is None else not cased
    changed = {key: value for key, value in asked.items() if value not in (None, known[key])}
    settings = settings | changed
    if path.is_dir():
        exact = not changed and known[CONVENTION_KEY] == "transformers"
        path = choose(path, patterns=_PATTERNS if exact else _PATTERNS[1:])
    if path.suffix != ".json":
        return _build(path, settings=settings)
    if changed:
        raise InputError(
            f"{path}: its rules are fixed; give the .model or vocab.txt to change them"
        )
    model = path.with_name("spiece.model")
    return Tokenizer(
        read_json(path), settings=settings, model=model.read_bytes() if model.exists() else None
    )


def _build(path: Path, *, settings: dict[str, Any]) -> Tokenizer:
    """A tokenizer from the vocabulary itself: a SentencePiece .model or a BERT vocab.txt.

    Of `settings` (tokenizer_config.json) the convention, do_lower_case and keep_accents count.
    Raises InputError when the file is neither, or the convention is unknown.
    """
    convention = settings.get(CONVENTION_KEY, "transformers")
    if convention not in get_args(Convention):
        raise InputError(
            f"convention={convention!r} is not one of {', '.join(get_args(Convention))}"
        )
    settings = new_settings(
        cased=not settings.get("do_lower_case", True),
        keep_accents=settings.get("keep_accents", False),
        convention=convention,
    )
    if path.suffix != ".txt":
        return from_sentencepiece(path.read_bytes(), settings=settings, name=str(path))
    if convention != "transformers":
        raise InputError(f"{path}: convention={convention!r} is for SentencePiece; leave it out")
    backend = wordpiece_backend(
        path, cased=not settings["do_lower_case"], keep_accents=settings["keep_accents"]
    )
    return Tokenizer(backend, settings=settings)


def from_sentencepiece(model: bytes, *, settings: dict[str, Any], name: str) -> Tokenizer:
    """A tokenizer from the bytes of a .model. Raises InputError when it is no ALBERT unigram."""
    demote = settings[CONVENTION_KEY] == "transformers"
    backend = sentencepiece_pipeline(model, settings, name=name, demote=demote)
    return Tokenizer(backend, settings=settings, model=model)


def new_settings(
    *, cased: bool, keep_accents: bool, convention: Convention = "transformers"
) -> dict[str, Any]:
    """The tokenizer_config.json of a new tokenizer, as transformers reads it."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_input_names": ["input_ids", "token_type_ids", "attention_mask"],
        "model_max_length": 512,
        "clean_up_tokenization_spaces": False,
        "do_lower_case": not cased,
        "keep_accents": keep_accents,
        CONVENTION_KEY: convention,
    }
