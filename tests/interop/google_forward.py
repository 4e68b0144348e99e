"""google-research/albert's variables and forward pass in plain numpy, as an oracle.

Written from modeling.py and run_pretraining.py: padded input, additive mask, (in, out) kernels.
"""

import numpy as np

CONFIG = {
    "attention_probs_dropout_prob": 0,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0,
    "embedding_size": 12,
    "hidden_size": 24,
    "initializer_range": 0.02,
    "intermediate_size": 40,
    "max_position_embeddings": 32,
    "num_attention_heads": 3,
    "num_hidden_layers": 4,
    "num_hidden_groups": 1,
    "net_structure_type": 0,
    "gap_size": 0,
    "num_memory_blocks": 0,
    "inner_group_num": 1,
    "down_scale_factor": 1,
    "type_vocab_size": 2,
    "vocab_size": 60,
}

Arrays = dict[str, np.ndarray]


def variables(config: dict, seed: int = 0) -> Arrays:
    """Random values of every variable of Google's pretraining graph, optimizer slots included."""
    embed, hidden = config["embedding_size"], config["hidden_size"]
    inner, vocab = config["intermediate_size"], config["vocab_size"]
    shapes: dict[str, tuple[int, ...]] = {}

    def dense(name: str, rows: int, columns: int) -> None:
        shapes[f"{name}/kernel"], shapes[f"{name}/bias"] = (rows, columns), (columns,)

    def norm(name: str, width: int) -> None:
        shapes[f"{name}/gamma"] = shapes[f"{name}/beta"] = (width,)

    shapes["bert/embeddings/word_embeddings"] = (vocab, embed)
    shapes["bert/embeddings/token_type_embeddings"] = (config["type_vocab_size"], embed)
    shapes["bert/embeddings/position_embeddings"] = (config["max_position_embeddings"], embed)
    norm("bert/embeddings/LayerNorm", embed)
    if embed != hidden:
        dense("bert/encoder/embedding_hidden_mapping_in", embed, hidden)
    for group in range(config["num_hidden_groups"]):
        for number in range(config["inner_group_num"]):
            block = f"bert/encoder/transformer/group_{group}/inner_group_{number}"
            for part in ("query", "key", "value"):
                dense(f"{block}/attention_1/self/{part}", hidden, hidden)
            dense(f"{block}/attention_1/output/dense", hidden, hidden)
            norm(f"{block}/LayerNorm", hidden)
            dense(f"{block}/ffn_1/intermediate/dense", hidden, inner)
            dense(f"{block}/ffn_1/intermediate/output/dense", inner, hidden)
            norm(f"{block}/LayerNorm_1", hidden)
    dense("bert/pooler/dense", hidden, hidden)
    dense("cls/predictions/transform/dense", hidden, embed)
    norm("cls/predictions/transform/LayerNorm", embed)
    shapes["cls/predictions/output_bias"] = (vocab,)
    shapes["cls/seq_relationship/output_weights"] = (2, hidden)
    shapes["cls/seq_relationship/output_bias"] = (2,)

    draw = np.random.default_rng(seed)
    values = {}
    for name, shape in shapes.items():
        centre = 1.0 if name.endswith("gamma") else 0.0
        values[name] = (centre + 0.2 * draw.standard_normal(shape)).astype(np.float32)
        values[f"{name}/adam_m"] = values[f"{name}/adam_v"] = np.ones(shape, np.float32)
    return values | {"global_step": np.array(7, np.int64)}


def forward(w: Arrays, config: dict, ids, types, mask) -> tuple[np.ndarray, ...]:
    """Hidden states, pooled, masked-LM logits and sentence logits, in float64.

    `ids`, `types` and `mask` are (B, S) arrays; positions where the mask is 0 are padding.
    """
    w = {name: value.astype(np.float64) for name, value in w.items()}
    rows, length = ids.shape
    heads = config["num_attention_heads"]
    size = config["hidden_size"] // heads

    def dense(x, name):
        return x @ w[f"{name}/kernel"] + w[f"{name}/bias"]

    def norm(x, name):
        mean = x.mean(-1, keepdims=True)
        variance = ((x - mean) ** 2).mean(-1, keepdims=True)
        normal = (x - mean) / np.sqrt(variance + 1e-12)
        return normal * w[f"{name}/gamma"] + w[f"{name}/beta"]

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))

    x = w["bert/embeddings/word_embeddings"][ids]
    x = x + w["bert/embeddings/token_type_embeddings"][types]
    x = norm(x + w["bert/embeddings/position_embeddings"][:length], "bert/embeddings/LayerNorm")
    if config["embedding_size"] != config["hidden_size"]:
        x = dense(x, "bert/encoder/embedding_hidden_mapping_in")
    adder = (1.0 - mask[:, None, None, :]) * -10000.0
    layers, groups = config["num_hidden_layers"], config["num_hidden_groups"]
    for layer in range(layers):
        for number in range(config["inner_group_num"]):
            block = (
                f"bert/encoder/transformer/group_{int(layer / layers * groups)}"
                f"/inner_group_{number}"
            )
            q, k, v = (
                dense(x, f"{block}/attention_1/self/{part}")
                .reshape(rows, length, heads, size)
                .transpose(0, 2, 1, 3)
                for part in ("query", "key", "value")
            )
            scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(size) + adder
            scores = np.exp(scores - scores.max(-1, keepdims=True))
            attended = (scores / scores.sum(-1, keepdims=True)) @ v
            attended = attended.transpose(0, 2, 1, 3).reshape(rows, length, heads * size)
            out = dense(attended, f"{block}/attention_1/output/dense")
            x = norm(x + out, f"{block}/LayerNorm")
            out = gelu(dense(x, f"{block}/ffn_1/intermediate/dense"))
            out = dense(out, f"{block}/ffn_1/intermediate/output/dense")
            x = norm(x + out, f"{block}/LayerNorm_1")
    pooled = np.tanh(dense(x[:, 0], "bert/pooler/dense"))
    y = gelu(dense(x, "cls/predictions/transform/dense"))
    y = norm(y, "cls/predictions/transform/LayerNorm")
    masked = y @ w["bert/embeddings/word_embeddings"].T + w["cls/predictions/output_bias"]
    sentence = pooled @ w["cls/seq_relationship/output_weights"].T
    return x, pooled, masked, sentence + w["cls/seq_relationship/output_bias"]
