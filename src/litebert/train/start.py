"""What a run decides at its start: its memory, its shards, and the weights it begins with."""

import contextlib
import ctypes
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from litebert.config import PRESETS, ModelConfig
from litebert.errors import InputError
from litebert.model.encoder import Model, build
from litebert.model.initialization import begin_informed
from litebert.text.shards import Shards, verify
from litebert.text.tokenizer import Tokenizer
from litebert.train.recipe import PretrainRecipe

HASHED_BYTES = 1 << 30
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


def keep_freed_memory() -> None:
    """Have the C library keep what tensors free, for the next step's tensors of the same sizes.

    glibc hands large blocks back at once, and the pages of every activation are then cleared again
    at every step: 7 to 11 % of a step of albert-mini on two cores (LOG.md). Elsewhere: nothing.
    """
    if not sys.platform.startswith("linux"):
        return
    with contextlib.suppress(OSError, AttributeError):  # a C library without mallopt
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def open_shards(path: Path, tokenizer: Tokenizer) -> Shards:
    """Shards that this tokenizer made.

    Up to HASHED_BYTES every byte is checked against the hashes of the index, which takes a second
    or two; of more only sizes and borders, and `litebert prepare --verify` checks the rest.
    Raises InputError for damaged shards and for those of another tokenizer.
    """
    shards = Shards.open(path)
    if sum(entry["bytes"] for entry in shards.index["shards"]) < HASHED_BYTES:
        verify(path)
    if shards.fingerprint != tokenizer.fingerprint:
        raise InputError(
            f"{path} was not made by the tokenizer of the training shards ({shards.vocab_size} "
            f"entries, {tokenizer.vocab_size} there): prepare both with one tokenizer"
        )
    return shards


def start_model(recipe: PretrainRecipe, *, surprisal: np.ndarray) -> Model:
    """The model a run begins with: fresh weights of a preset or config.json, or those of a model.

    `surprisal` (V,) are nats of the training tokens' frequencies. Raises InputError for unknown
    names and for a model whose vocabulary is not the shards'.
    """
    vocab_size = len(surprisal)
    shape = _shape(recipe.model, vocab_size)
    if shape is not None:
        model = build(shape, seed=recipe.seed)
        if recipe.initialization == "informed":
            begin_informed(model, torch.from_numpy(surprisal))
        return model
    path = Path(recipe.model)
    if path.is_dir():
        from litebert.interop.load import load

        model = load(path)
        if model.config.vocab_size != vocab_size:
            raise InputError(
                f"{path} has {model.config.vocab_size} vocabulary entries and the shards have "
                f"{vocab_size}: prepare the text with the model's own tokenizer"
            )
        return model
    raise InputError(
        f"model={recipe.model!r} is neither a preset ({', '.join(PRESETS)}), nor a config.json, "
        f"nor a model directory"
    )


def _shape(name: str, vocab_size: int) -> ModelConfig | None:
    """The shape that a preset or a config.json names; None for other names."""
    if name in PRESETS:
        return replace(PRESETS[name], vocab_size=vocab_size)
    path = Path(name)
    if path.suffix != ".json" or not path.is_file():
        return None
    try:
        return ModelConfig(**{**json.loads(path.read_text("utf-8")), "vocab_size": vocab_size})
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} is not a model shape: {error}") from None
