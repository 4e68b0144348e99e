"""Models to and from the Hugging Face layout: config.json, model.safetensors, tokenizer, card.

What transformers can express is written so that its Auto classes load it without custom code.
Checked against transformers itself in tests/parity/.
"""

import json
import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.files import write_atomically
from litebert.interop import huggingface_config as configs
from litebert.interop.huggingface_names import LAYOUTS, PROJECTION, TIED, canonical
from litebert.interop.matching import Slot, Weights, assemble, parameter_shapes
from litebert.model.encoder import Model
from litebert.text.tokenizer import Tokenizer

WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")


def load(path_or_hub_id: str | Path, *, allow: Sequence[str] = ()) -> Model:
    """Load an ALBERT or BERT from a Hugging Face directory or hub id, in evaluation mode.

    Weights become fp32. `allow` lists names, or beginnings of names, of weights that may be
    missing (they get fresh values of seed 0) or left over, for example "sop_classifier", which
    ALBERT's checkpoints on the hub lack. Raises InputError when a weight is missing, unexpected,
    of another shape or not finite, and when the files cannot be had or read.
    """
    return load_with_others(path_or_hub_id, allow=allow)[0]


def load_with_others(
    path_or_hub_id: str | Path, *, allow: Sequence[str] = (), others: Sequence[str] = ()
) -> tuple[Model, dict[str, Tensor], dict[str, Any]]:
    """As `load`, with the tensors whose names begin with one of `others`, and config.json."""
    config_path, weights_path = _files(path_or_hub_id)
    values = configs.read_json(config_path)
    weights = _open(weights_path)
    chosen = [name for name in weights.shapes if name.startswith(tuple(others))] if others else []
    kept = weights.renamed({name: name for name in weights.shapes if name not in chosen})
    model = _assembled(values, config_path, kept, source=str(weights_path), allow=allow)
    return model, {name: weights.read(name) for name in chosen}, values


def _assembled(
    values: dict[str, Any],
    config_path: Path,
    weights: Weights,
    *,
    source: str,
    allow: Sequence[str],
) -> Model:
    family, config = configs.model_config(values, config_path)
    if family == "litebert":
        return assemble(config, _own_slots(config), weights, allow=allow, source=source)
    weights = weights.renamed(canonical(family, weights.shapes))
    weights = _untied(weights, source)
    if family == "albert" and not config.embedding_projection:
        config, weights = _projection_dropped(config, weights)
    slots = LAYOUTS[family].slots(config)
    return assemble(config, slots, weights, allow=allow, source=source)


def read_config(directory: str | Path) -> ModelConfig:
    """The configuration of a model directory, without its weights."""
    path = Path(directory) / "config.json"
    return configs.model_config(configs.read_json(path), path)[1]


def save(
    model: Model,
    tokenizer: Tokenizer | None,
    directory: str | Path,
    *,
    card: str | None = None,
) -> None:
    """Save a model, its tokenizer and its model card in the Hugging Face layout.

    transformers loads the directory with its Auto classes, except models it has no architecture
    for (`require_transformers` says which); those only `litebert.load` reads. config.json is
    written last. `card` is the text of README.md.
    """
    write_directory(
        Path(directory),
        tensors=named_tensors(model),
        values=configs.config_json(model.config),
        tokenizer=tokenizer,
        card=default_card(model) if card is None else card,
    )


def named_tensors(model: Model) -> dict[str, Tensor]:
    """The weights of a model under the names they are saved by."""
    family = configs.family_of(model.config)
    if family == "litebert":
        slots = _own_slots(model.config)
    else:
        slots = LAYOUTS[family].slots(model.config)
    tensors = {name: slot.view(model).cpu().contiguous() for name, slot in slots.items()}
    if family == "albert" and not model.config.embedding_projection:
        tensors |= _identity(model.config.hidden_size)
    return tensors


def write_directory(
    directory: Path,
    *,
    tensors: dict[str, Tensor],
    values: dict[str, Any],
    tokenizer: Tokenizer | None,
    card: str,
) -> None:
    """Write weights, tokenizer, card and, last, config.json with the ids of special tokens."""
    write_atomically(directory / "model.safetensors", _writer(tensors))
    if tokenizer is not None:
        tokenizer.save(directory)
    write_atomically(directory / "README.md", card.encode())
    values = values | {
        "pad_token_id": 0 if tokenizer is None else tokenizer.pad_id,
        "bos_token_id": 2 if tokenizer is None else tokenizer.cls_id,
        "eos_token_id": 3 if tokenizer is None else tokenizer.sep_id,
    }
    text = json.dumps(values, indent=2, sort_keys=True) + "\n"
    write_atomically(directory / "config.json", text.encode())


def require_transformers(config: ModelConfig) -> None:
    """Raise InputError when transformers has no architecture for a model."""
    if reason := configs.refusal(config):
        raise InputError(reason)


def default_card(model: Model) -> str:
    """A minimal model card: what the model is, in numbers."""
    config = model.config
    count = sum(parameter.numel() for parameter in model.parameters())
    return (
        f"---\nlibrary_name: transformers\npipeline_tag: fill-mask\n"
        f"tags: [{configs.family_of(config)}, litebert]\n---\n\n"
        f"# {configs.family_of(config).upper()} encoder\n\n"
        f"{count:,} parameters, heads of pretraining included. Hidden size {config.hidden_size}, "
        f"{config.depth} layers, {config.heads} heads, embeddings of {config.embedding_size}, "
        f"vocabulary of {config.vocab_size:,}; shared across layers: {config.sharing}.\n"
    )


def config_of(source: str | Path) -> Path:
    """config.json of a directory or a hub id; raises InputError when it cannot be had."""
    directory = Path(source)
    return directory / "config.json" if directory.exists() else _hub_files(str(source))[0]


def _files(source: str | Path) -> tuple[Path, Path]:
    directory = Path(source)
    if not directory.exists():
        return _hub_files(str(source))
    for name in WEIGHT_FILES:
        if (directory / name).is_file():
            return directory / "config.json", directory / name
    raise InputError(f"{directory}: holds neither {' nor '.join(WEIGHT_FILES)}: check the path")


def _hub_files(repository: str) -> tuple[Path, Path]:
    if "/" in repository and (folder := Path(repository).parent).is_dir():
        # a slip of the pen, that the hub would be asked about for half a minute when offline
        raise InputError(f"{repository}: {folder} is here and this is not in it: check the path")
    from huggingface_hub import errors, hf_hub_download

    try:
        config_path = Path(hf_hub_download(repository, "config.json"))
        try:
            return config_path, Path(hf_hub_download(repository, WEIGHT_FILES[0]))
        except errors.EntryNotFoundError:
            return config_path, Path(hf_hub_download(repository, WEIGHT_FILES[1]))
    except errors.HFValidationError as error:
        raise InputError(
            f"{repository}: neither a path here nor a name the hub can have: check the path"
        ) from error
    except OSError as error:  # missing, forbidden, offline: the hub's errors are all of this class
        raise InputError(
            f"{repository}: no such path here, and the Hugging Face hub gave no model of that "
            f"name ({type(error).__name__}): check the name, or the network"
        ) from error


def _open(path: Path) -> Weights:
    if path.suffix == ".safetensors":
        return _open_safetensors(path)
    try:
        values = torch.load(path, map_location="cpu", weights_only=True)
        tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    except (RuntimeError, OSError, EOFError, AttributeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: is damaged or holds more than weights: fetch it again, or save it as "
            f"safetensors"
        ) from error
    return Weights.of(tensors)


def _open_safetensors(path: Path) -> Weights:
    from safetensors import SafetensorError, safe_open

    try:
        file = safe_open(path, framework="pt")
        shapes = {name: tuple(file.get_slice(name).get_shape()) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise InputError(
            f"{path}: is cut short or damaged ({error}): copy or fetch it again"
        ) from error
    return Weights(shapes=shapes, read=file.get_tensor)


def _untied(weights: Weights, source: str) -> Weights:
    stored = {name: name for name in weights.shapes}
    for duplicate, original in TIED.items():
        if duplicate not in stored:
            continue
        if original not in stored:
            stored[original] = stored.pop(duplicate)
            continue
        del stored[duplicate]
        if weights.shapes[duplicate] != weights.shapes[original] or not torch.equal(
            weights.read(duplicate), weights.read(original)
        ):
            raise InputError(
                f"{source}: {duplicate} differs from {original}, to which it is tied: untied "
                f"output weights are not supported"
            )
    return weights.renamed(stored)


def _identity(hidden: int) -> dict[str, Tensor]:
    return {f"{PROJECTION}.weight": torch.eye(hidden), f"{PROJECTION}.bias": torch.zeros(hidden)}


def _projection_dropped(config: ModelConfig, weights: Weights) -> tuple[ModelConfig, Weights]:
    """Leave out a projection that does nothing, as we save it where ours has none.

    Another program may have trained it since; then it is a weight like the others.
    """
    stored = {name: name for name in weights.shapes}
    for name, neutral in _identity(config.hidden_size).items():
        if stored.pop(name, None) is None:
            continue
        if weights.shapes[name] != neutral.shape or not torch.equal(weights.read(name), neutral):
            return replace(config, embedding_projection=True), weights
    return config, weights.renamed(stored)


def _own_slots(config: ModelConfig) -> dict[str, Slot]:
    return {name: Slot(parameter=name) for name in parameter_shapes(config)}


def _writer(tensors: dict[str, Tensor]) -> Callable[[Path], None]:
    from safetensors.torch import save_file

    return lambda path: save_file(tensors, path, metadata={"format": "pt"})
