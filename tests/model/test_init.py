"""Fresh weights: Google's cut normal, biases 0, LayerNorm 1 and 0, decided by the seed."""

import pytest
import torch
from scipy.stats import truncnorm

import litebert

CONFIG = litebert.ModelConfig(
    hidden_size=192, heads=4, depth=3, inner_size=256, embedding_size=64, vocab_size=3000
)


@pytest.mark.parametrize("deviation", [0.02, 0.1])
def test_matrices_follow_the_normal_cut_at_two_deviations(deviation):
    model = litebert.build(litebert.ModelConfig(**{**vars(CONFIG), "initializer_range": deviation}))
    expected = truncnorm(-2, 2, scale=deviation)
    checked = 0
    for name, parameter in model.named_parameters():
        if parameter.ndim < 2 or parameter.numel() < 10_000:
            continue
        values = parameter.detach().double()
        # five standard errors of a sample deviation, which is near 1/sqrt(2n)
        margin = 5 * (2 * values.numel()) ** -0.5
        assert values.std().item() == pytest.approx(expected.std(), rel=margin), name
        assert abs(values.mean().item()) < 5 * expected.std() * values.numel() ** -0.5, name
        assert values.abs().max().item() <= 2 * deviation * (1 + 1e-6), name
        checked += 1
    assert checked >= 7


def test_biases_are_zero_and_layer_norms_are_neutral():
    model = litebert.build(CONFIG)
    vectors = {name: p for name, p in model.named_parameters() if p.ndim == 1}
    for name, parameter in vectors.items():
        value = 1.0 if name.endswith("norm.weight") else 0.0
        assert torch.equal(parameter, torch.full_like(parameter, value)), name
    assert sum(name.endswith("norm.weight") for name in vectors) == 4


def test_the_seed_decides_every_weight_and_nothing_else_does():
    torch.manual_seed(1)
    first = litebert.build(CONFIG, seed=7).state_dict()
    torch.manual_seed(2)
    torch.rand(5)
    again = litebert.build(CONFIG, seed=7).state_dict()
    other = litebert.build(CONFIG, seed=8).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["embeddings.tokens.weight"], other["embeddings.tokens.weight"])
