"""Models, batches and threads for tests of the native pass."""

import torch

import litebert
from litebert.model.encoder import Model


def random_model(hidden=48, heads=4, inner=100, activation="gelu_erf", **changes) -> Model:
    config = litebert.ModelConfig(
        vocab_size=300, hidden_size=hidden, heads=heads, depth=4, inner_size=inner,
        activation=activation, initializer_range=0.15, **({"embedding_size": 16} | changes),
    )  # fmt: skip
    model = litebert.build(config, seed=3).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    return model


def ragged(lengths) -> litebert.PackedBatch:
    draw = torch.Generator().manual_seed(sum(lengths))
    return litebert.pack(
        [torch.randint(300, (length,), generator=draw).tolist() for length in lengths]
    )


def in_threads(count, work):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return work()
    finally:
        torch.set_num_threads(before)
