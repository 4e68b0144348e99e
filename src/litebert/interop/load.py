"""One entrance for every kind of model: Hugging Face, Google's TensorFlow, runs of our own."""

from collections.abc import Sequence
from pathlib import Path

from litebert.errors import InputError
from litebert.files import sha256_of
from litebert.interop import huggingface, tensorflow
from litebert.model.encoder import Model
from litebert.text.tokenizer import Tokenizer, load_tokenizer

SENTENCE_WEIGHTS = ("sop_classifier", "cls.seq_relationship", "albert.pooler", "bert.pooler")
"""Weights that only the sentence objective needs; models saved for masked LM alone lack them."""


def load(path: str | Path, *, allow: Sequence[str] = ()) -> Model:
    """Load a model, in evaluation mode and fp32, from wherever it is.

    `path` is a Hugging Face directory or hub id, a litebert run directory, or a TensorFlow
    checkpoint of Google's ALBERT (its directory or its prefix). `allow` lists names, or beginnings
    of names, of weights that may be missing (they get fresh values) or left over. Raises
    InputError when the files cannot be had, and for any other weight that does not fit.
    """
    directory = Path(path)
    if tensorflow.is_checkpoint(directory):
        return tensorflow.load(directory, allow=allow)
    return huggingface.load(model_directory(path), allow=allow)


def tokenizer_of(path: str | Path) -> Tokenizer:
    """The tokenizer that lies beside what `load` reads; raises InputError when there is none."""
    place = Path(model_directory(path))
    if place.exists():
        return load_tokenizer(place)
    # the prefix of a checkpoint, whose vocabulary lies in the same directory, or a hub id
    return load_tokenizer(place.parent if tensorflow.is_checkpoint(place) else path)


def model_directory(path: str | Path) -> str | Path:
    """Where the model of a litebert run lies; any other path or hub id as it is."""
    directory = Path(path)
    if not directory.is_dir() or (directory / "config.json").is_file():
        return path
    if (directory / "model").is_dir():
        return directory / "model"
    if (directory / "checkpoints").is_dir():
        raise InputError(
            f"{directory}: the run has not written its model yet: let it finish, or resume it"
        )
    return path


def weights_of(directory: str | Path) -> str:
    """What tells the weights of a model's directory from others: the start of their sha256.

    Raises InputError for a directory without model.safetensors.
    """
    place = Path(directory) / "model.safetensors"
    if not place.is_file():
        raise InputError(
            f"{place} is not there, and exits.json and smoothing.safetensors hold for such a file "
            "alone: save the model as safetensors, or delete those beside it"
        )
    return sha256_of(place)[:16]
