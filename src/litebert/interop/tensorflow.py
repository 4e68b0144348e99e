"""Checkpoints of Google's ALBERT code (TensorFlow 1) into our model.

Variable names of google-research/albert modeling.py and run_pretraining.py; kernels are stored
(in, out). Files as released: model.ckpt-best.{index,data-*}, albert_config.json, 30k-clean.model.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.interop import huggingface_config as configs
from litebert.interop.matching import Layout, Weights, assemble
from litebert.model.encoder import Model


def _leaf(parameter: str) -> str:
    norm, weight = ".norm." in parameter, parameter.endswith("weight")
    if norm:
        return "/gamma" if weight else "/beta"
    return "/kernel" if weight else "/bias"


LAYOUT = Layout(
    modules={
        "bert/embeddings/word_embeddings": "embeddings.tokens.weight",
        "bert/embeddings/position_embeddings": "embeddings.positions.weight",
        "bert/embeddings/token_type_embeddings": "embeddings.segments.weight",
        "bert/embeddings/LayerNorm": "embeddings.norm",
        "bert/encoder/embedding_hidden_mapping_in": "embeddings.projection",
        "bert/pooler/dense": "pooler.dense",
        "cls/predictions/transform/dense": "mlm_head.dense",
        "cls/predictions/transform/LayerNorm": "mlm_head.norm",
        "cls/predictions/output_bias": "mlm_head.bias",
        "cls/seq_relationship/output_weights": "sentence_head.weight",
        "cls/seq_relationship/output_bias": "sentence_head.bias",
    },
    block="bert/encoder/transformer/group_{group}/inner_group_{inner}/",
    block_modules={
        "attention_1/self/query": "attentions.{}.qkv/0",
        "attention_1/self/key": "attentions.{}.qkv/1",
        "attention_1/self/value": "attentions.{}.qkv/2",
        "attention_1/output/dense": "attentions.{}.output",
        "LayerNorm": "attentions.{}.norm",
        "ffn_1/intermediate/dense": "feed_forwards.{}.inner",
        "ffn_1/intermediate/output/dense": "feed_forwards.{}.output",
        "LayerNorm_1": "feed_forwards.{}.norm",
    },
    leaf=_leaf,
)

_OPTIMIZER = ("/adam_m", "/adam_v", "global_step")


def is_checkpoint(path: str | Path) -> bool:
    """Whether a path is a directory or a prefix of a TensorFlow checkpoint of ALBERT."""
    path = Path(path)
    return (path / "albert_config.json").is_file() or _index(path).is_file()


def load(path: str | Path, *, allow: Sequence[str] = ()) -> Model:
    """Load a checkpoint of Google's ALBERT code, in evaluation mode.

    `path` is the directory of a release or a prefix such as `dir/model.ckpt-best`, with
    albert_config.json beside it. Optimizer state is left out. Raises InputError when TensorFlow is
    not installed, a file is absent or damaged, and for any weight that does not fit.
    """
    path = Path(path)
    prefix = _prefix(path)
    config = read_config(prefix.parent)
    try:
        import tensorflow as tf
    except ImportError as error:
        raise InputError(
            f"{path}: reading TensorFlow checkpoints needs TensorFlow: "
            f"pip install 'litebert[tensorflow]'"
        ) from error
    damage = (tf.errors.OpError, IndexError, RuntimeError, ValueError)
    complaint = f"{prefix}: is no checkpoint, or damaged: copy it again"

    def read(name: str) -> torch.Tensor:
        try:
            return torch.from_numpy(np.array(reader.get_tensor(name)))
        except damage as error:
            raise InputError(complaint) from error

    try:
        reader = tf.train.load_checkpoint(str(prefix))
        variables = reader.get_variable_to_shape_map()
    except damage as error:
        raise InputError(complaint) from error
    shapes = {name: tuple(shape) for name, shape in variables.items()}
    weights = Weights(shapes=shapes, read=read)
    return _assembled(config, weights, allow=allow, source=str(prefix))


def from_arrays(
    arrays: Mapping[str, np.ndarray],
    config: ModelConfig,
    *,
    allow: Sequence[str] = (),
    source: str = "arrays",
) -> Model:
    """A model from Google's variables by name, for checkpoints read by other means.

    Raises InputError, naming `source`, for any weight that does not fit.
    """
    weights = Weights.of({name: torch.from_numpy(array) for name, array in arrays.items()})
    return _assembled(config, weights, allow=allow, source=source)


def read_config(directory: str | Path) -> ModelConfig:
    """The configuration in Google's albert_config.json."""
    path = Path(directory) / "albert_config.json"
    return google_config(configs.read_json(path), path)


def google_config(values: dict[str, Any], path: Path) -> ModelConfig:
    """The configuration that Google's albert_config.json describes.

    Its "gelu" is the tanh form, and there is no projection where E = H. Raises InputError naming
    `path` for anything missing, absurd, or grouped as only a rounding error of Google's would.
    """
    if (act := values.get("hidden_act", "gelu")) != "gelu":
        raise InputError(f"{path}: hidden_act={act!r} is not supported, only 'gelu'")
    defaults = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    settings = configs.numbers(values, path, defaults)
    settings |= configs.groups_of(values, settings["depth"], path)
    settings["embedding_size"] = configs.size(values, "embedding_size", path)
    settings["embedding_projection"] = settings["embedding_size"] != settings["hidden_size"]
    config = configs.made(settings, path)
    depth, groups = config.depth, configs.group_count(config)
    for layer in range(depth):
        # Google's own expression, rounding included
        if int(layer / depth * groups) != layer * groups // depth:
            raise InputError(
                f"{path}: Google's code puts layer {layer} of {depth} into another of the "
                f"{groups} groups by a rounding error, so the model is not what its numbers say"
            )
    return config


def _assembled(
    config: ModelConfig, weights: Weights, *, allow: Sequence[str], source: str
) -> Model:
    stored = {
        name.removeprefix("module/"): name
        for name in weights.shapes
        if not name.endswith(_OPTIMIZER)
    }
    slots = LAYOUT.slots(config)
    return assemble(config, slots, weights.renamed(stored), allow=allow, source=source)


def _index(path: Path) -> Path:
    return path if path.suffix == ".index" else Path(f"{path}.index")


def _prefix(path: Path) -> Path:
    if not path.is_dir():
        return path.with_suffix("") if path.suffix == ".index" else path
    found = sorted(path.glob("*.index"))
    if len(found) != 1:
        raise InputError(
            f"{path}: holds {len(found)} checkpoints (*.index): name one, as DIR/model.ckpt-best"
        )
    return found[0].with_suffix("")
