"""The MODEL that verbs take: a run, a Hugging Face directory or hub id, a TensorFlow checkpoint."""

from collections.abc import Sequence
from pathlib import Path

from litebert.interop import tensorflow
from litebert.interop.load import load, model_directory
from litebert.model.encoder import Model
from litebert.text.tokenizer import Tokenizer, load_tokenizer

SENTENCE_WEIGHTS = ("sop_classifier", "cls.seq_relationship", "albert.pooler", "bert.pooler")
"""Weights that only the sentence objective needs; models saved for masked LM alone lack them."""


def open_model(name: str, *, allow: Sequence[str] = ()) -> tuple[Model, Tokenizer]:
    """A model and the tokenizer beside it; raises InputError when either cannot be had."""
    model = load(name, allow=allow)
    place = Path(model_directory(name))
    if not place.exists():
        # a hub id, or the prefix of a checkpoint, whose vocabulary lies in the same directory
        return model, load_tokenizer(place.parent if tensorflow.is_checkpoint(place) else name)
    return model, load_tokenizer(place)
