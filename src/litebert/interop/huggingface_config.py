"""Hugging Face's config.json against ModelConfig, both ways.

transformers' AlbertConfig and BertConfig; what they cannot say stands in a section `litebert`,
and a model they cannot run at all gets model_type "litebert".
"""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

from litebert.config import Activation, ModelConfig
from litebert.errors import InputError

Family = Literal["albert", "bert", "litebert"]

# Larger numbers are typing errors or attacks; checked before anything of that size is made.
LARGEST_SIZE = 100_000_000
MOST_BLOCKS = 1_000

_SIZES = {
    "hidden_size": "hidden_size",
    "num_attention_heads": "heads",
    "num_hidden_layers": "depth",
    "intermediate_size": "inner_size",
    "vocab_size": "vocab_size",
    "max_position_embeddings": "max_positions",
    "type_vocab_size": "segment_types",
}
_RATES = {
    "hidden_dropout_prob": "hidden_dropout",
    "attention_probs_dropout_prob": "attention_dropout",
    "initializer_range": "initializer_range",
    "layer_norm_eps": "layer_norm_eps",
}
_RATE_DEFAULTS: dict[str, dict[str, float]] = {
    # transformers' defaults, for files that leave a rate out
    "albert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "bert": {"hidden_dropout_prob": 0.1, "attention_probs_dropout_prob": 0.1},
}
_ACTIVATIONS: dict[str, Activation] = {
    "gelu": "gelu_erf",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
}
_ONLY = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "add_cross_attention": False,
    "tie_word_embeddings": True,
}


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that must hold an object; raises InputError with the line of the fault."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}): check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: byte {error.start} is not UTF-8: write it again") from error
    except json.JSONDecodeError as error:
        raise InputError(
            f"{path}: line {error.lineno} is not JSON ({error.msg}): mend or write it again"
        ) from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: must hold a JSON object, not a {type(values).__name__}")
    return values


def model_config(values: dict[str, Any], path: Path) -> tuple[Family, ModelConfig]:
    """The family and the configuration that a config.json describes.

    Raises InputError naming `path` for another model_type, a missing or absurd number, and
    options whose function ours is not.
    """
    family = values.get("model_type")
    if family == "litebert":
        return family, own_config(values, path)
    if family not in ("albert", "bert"):
        raise InputError(f"{path}: model_type={family!r} is not albert or bert: convert it first")
    for key, only in _ONLY.items():
        if values.get(key, only) != only:
            raise InputError(f"{path}: {key}={values[key]!r} is not supported, only {only!r}")
    act = values.get("hidden_act", "gelu_new" if family == "albert" else "gelu")
    if not isinstance(act, str) or act not in _ACTIVATIONS:
        raise InputError(f"{path}: hidden_act={act!r} is not one of {', '.join(_ACTIVATIONS)}")
    settings = numbers(values, path, _RATE_DEFAULTS[family])
    settings["activation"] = _ACTIVATIONS[act]
    hidden = settings["hidden_size"]
    if family == "bert":
        settings |= {"sharing": "none", "embedding_size": hidden, "embedding_projection": False}
    else:
        settings |= groups_of(values, settings["depth"], path)
        settings["embedding_size"] = size(values, "embedding_size", path)
    ours = values.get("litebert", {})
    if not isinstance(ours, dict):
        raise InputError(f"{path}: section litebert must be a JSON object: save the model again")
    settings |= {key: ours[key] for key in ("sharing", "groups") if key in ours}
    if settings["embedding_size"] == hidden and "embedding_projection" in ours:
        settings["embedding_projection"] = ours["embedding_projection"]
    config = made(settings, path)
    if family == "albert" and (reason := refusal(config)):
        raise InputError(f"{path}: {reason}")
    return family, config


def own_config(values: dict[str, Any], path: Path) -> ModelConfig:
    """The configuration of a file with model_type "litebert": our own names."""
    settings = values.get("litebert")
    if not isinstance(settings, dict):
        raise InputError(f"{path}: has no section litebert: save the model again")
    known = {field.name for field in fields(ModelConfig)}
    if unknown := sorted(settings.keys() - known):
        raise InputError(f"{path}: unknown settings {', '.join(unknown)} in section litebert")
    for key in settings:
        if isinstance(settings[key], int):
            size(settings, key, path, least=0)
    _check_blocks(settings.get("depth", 1), settings.get("inner_blocks", 1), path)
    return made(settings, path)


def numbers(values: dict[str, Any], path: Path, defaults: dict[str, float]) -> dict[str, Any]:
    """The sizes and rates that ALBERT's and BERT's files have in common, by our names."""
    defaults = {"initializer_range": 0.02, "layer_norm_eps": 1e-12} | defaults
    rates = {}
    for key, ours in _RATES.items():
        rates[ours] = rate = values.get(key, defaults[key])
        if not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise InputError(f"{path}: {key}={rate!r} must be a number in [0, 1]")
    sizes = {ours: size(values, key, path) for key, ours in _SIZES.items()}
    _check_blocks(sizes["depth"], 1, path)
    return sizes | rates


def size(values: dict[str, Any], key: str, path: Path, *, least: int = 1) -> int:
    """A whole number of a credible size; raises InputError when it is missing or absurd."""
    if key not in values:
        raise InputError(f"{path}: {key} is missing: take the file the weights came with")
    value = values[key]
    if not isinstance(value, int) or not least <= value <= LARGEST_SIZE:
        raise InputError(
            f"{path}: {key}={value!r} must be a whole number from {least} to {LARGEST_SIZE:,}"
        )
    return value


def groups_of(values: dict[str, Any], depth: int, path: Path) -> dict[str, Any]:
    """Sharing as num_hidden_groups and inner_group_num say it."""
    counted = {"num_hidden_groups": 1, "inner_group_num": 1} | values
    groups, inner = size(counted, "num_hidden_groups", path), size(counted, "inner_group_num", path)
    _check_blocks(depth, inner, path)
    if groups > depth:
        raise InputError(f"{path}: num_hidden_groups={groups} is more than the {depth} layers")
    if groups in (1, depth):
        return {"sharing": "all" if groups == 1 else "none", "inner_blocks": inner}
    return {"sharing": "groups", "groups": groups, "inner_blocks": inner}


def _check_blocks(depth: Any, inner: Any, path: Path) -> None:
    if isinstance(depth, int) and isinstance(inner, int) and depth * inner > MOST_BLOCKS:
        raise InputError(
            f"{path}: {depth} layers of {inner} blocks are more than {MOST_BLOCKS:,} blocks: "
            f"check the numbers"
        )


def made(settings: dict[str, Any], path: Path) -> ModelConfig:
    """A ModelConfig whose errors name the file."""
    try:
        return ModelConfig(**settings)
    except (InputError, TypeError) as error:
        raise InputError(f"{path}: {error}") from error


def group_count(config: ModelConfig) -> int:
    """transformers' num_hidden_groups for a plan of whole blocks."""
    return {"all": 1, "none": config.depth}.get(config.sharing, config.groups)


def refusal(config: ModelConfig) -> str | None:
    """Why transformers has no architecture for this model, in one line; None when it has."""
    if config.sharing in ("attention", "feed_forward"):
        return (
            f"sharing={config.sharing!r} has no counterpart in transformers, which shares whole "
            f"blocks only: keep the model in our own layout"
        )
    depth, groups = config.depth, group_count(config)
    for layer in range(depth):
        # transformers' own expression, rounding included
        if int(layer / (depth / groups)) != layer * groups // depth:
            return (
                f"transformers puts layer {layer} of {depth} into another of the {groups} groups "
                f"by a rounding error: choose another number of groups"
            )
    return None


def family_of(config: ModelConfig) -> Family:
    """The model_type a model is saved under."""
    if refusal(config):
        return "litebert"
    plain = config.sharing == "none" and config.inner_blocks == 1
    return "bert" if plain and not config.embedding_projection else "albert"


def config_json(config: ModelConfig) -> dict[str, Any]:
    """What config.json says about the architecture; ids of special tokens are not in it."""
    family = family_of(config)
    if family == "litebert":
        return {"model_type": family, "litebert": asdict(config)}
    values: dict[str, Any] = {"model_type": family, "dtype": "float32"}
    values |= {key: getattr(config, ours) for key, ours in (_SIZES | _RATES).items()}
    values["hidden_act"] = "gelu_new" if config.activation == "gelu_tanh" else "gelu"
    values["litebert"] = {
        "sharing": config.sharing,
        "groups": config.groups,
        "embedding_projection": config.embedding_projection,
    }
    if family == "bert":
        return values | {"architectures": ["BertForPreTraining"], "classifier_dropout": 0.1}
    return values | {
        "architectures": ["AlbertForPreTraining"],
        "classifier_dropout_prob": 0.1,
        "embedding_size": config.embedding_size,
        "num_hidden_groups": group_count(config),
        "inner_group_num": config.inner_blocks,
    }
