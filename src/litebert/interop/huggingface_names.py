"""Names of weights in Hugging Face checkpoints of ALBERT and BERT, against ours.

Read off transformers' modeling_albert.py and modeling_bert.py, the classes for pretraining.
"""

from collections.abc import Iterable

from litebert.interop.matching import Layout

ALBERT = Layout(
    modules={
        "albert.embeddings.word_embeddings": "embeddings.tokens",
        "albert.embeddings.position_embeddings": "embeddings.positions",
        "albert.embeddings.token_type_embeddings": "embeddings.segments",
        "albert.embeddings.LayerNorm": "embeddings.norm",
        "albert.encoder.embedding_hidden_mapping_in": "embeddings.projection",
        "albert.pooler": "pooler.dense",
        "predictions.dense": "mlm_head.dense",
        "predictions.LayerNorm": "mlm_head.norm",
        "predictions.bias": "mlm_head.bias",
        "sop_classifier.classifier": "sentence_head",
    },
    block="albert.encoder.albert_layer_groups.{group}.albert_layers.{inner}.",
    block_modules={
        "attention.query": "attentions.{}.qkv/0",
        "attention.key": "attentions.{}.qkv/1",
        "attention.value": "attentions.{}.qkv/2",
        "attention.dense": "attentions.{}.output",
        "attention.LayerNorm": "attentions.{}.norm",
        "ffn": "feed_forwards.{}.inner",
        "ffn_output": "feed_forwards.{}.output",
        "full_layer_layer_norm": "feed_forwards.{}.norm",
    },
    leaf=lambda parameter: "." + parameter.rpartition(".")[2],
)

BERT = Layout(
    modules={
        "bert.embeddings.word_embeddings": "embeddings.tokens",
        "bert.embeddings.position_embeddings": "embeddings.positions",
        "bert.embeddings.token_type_embeddings": "embeddings.segments",
        "bert.embeddings.LayerNorm": "embeddings.norm",
        "bert.pooler.dense": "pooler.dense",
        "cls.predictions.transform.dense": "mlm_head.dense",
        "cls.predictions.transform.LayerNorm": "mlm_head.norm",
        "cls.predictions.bias": "mlm_head.bias",
        "cls.seq_relationship": "sentence_head",
    },
    block="bert.encoder.layer.{group}.",
    block_modules={
        "attention.self.query": "attentions.{}.qkv/0",
        "attention.self.key": "attentions.{}.qkv/1",
        "attention.self.value": "attentions.{}.qkv/2",
        "attention.output.dense": "attentions.{}.output",
        "attention.output.LayerNorm": "attentions.{}.norm",
        "intermediate.dense": "feed_forwards.{}.inner",
        "output.dense": "feed_forwards.{}.output",
        "output.LayerNorm": "feed_forwards.{}.norm",
    },
    leaf=lambda parameter: "." + parameter.rpartition(".")[2],
)

LAYOUTS = {"albert": ALBERT, "bert": BERT}

PROJECTION = "albert.encoder.embedding_hidden_mapping_in"
"""The projection transformers' ALBERT always has, even where E = H and ours may have none."""

TIED = {
    "predictions.decoder.weight": "albert.embeddings.word_embeddings.weight",
    "predictions.decoder.bias": "predictions.bias",
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
"""Second names some checkpoints store for one weight."""

_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")
_OLD_LEAVES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}


def canonical(model_type: str, names: Iterable[str]) -> dict[str, str]:
    """Today's name of each stored weight, as new name to stored name; buffers are left out.

    Checkpoints of the bare encoder lack the prefix, the oldest ones call LayerNorm's weights
    gamma and beta.
    """
    names = [name for name in names if not name.endswith(_BUFFERS)]
    bare = not any(name.startswith(f"{model_type}.") for name in names)
    stored = {}
    for name in names:
        new = name
        for old, current in _OLD_LEAVES.items():
            if name.endswith(old):
                new = name.removesuffix(old) + current
        if bare and name.startswith(("embeddings.", "encoder.", "pooler.")):
            new = f"{model_type}.{new}"
        stored[name if new in stored else new] = name  # never drop one of two in silence
    return stored
