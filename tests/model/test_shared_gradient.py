"""In bf16, the many gradients of one shared weight are summed in fp32, not in bf16."""

import re
from dataclasses import replace

import pytest
import torch
from torch import nn

import litebert
from litebert.model.block import Linear

CONFIG = litebert.ModelConfig(
    hidden_size=64, heads=4, depth=24, inner_size=128, embedding_size=32, vocab_size=60
)
BATCH = litebert.pack([[2, *range(5, 37), 3], [2, *range(20, 60), 3]])
WEIGHT = "feed_forwards.{}.inner.weight"


def gradients(model: nn.Module, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    out = torch.func.functional_call(model, parameters, (BATCH,))
    direction = torch.randn(out.hidden.shape, generator=torch.Generator().manual_seed(3))
    loss = (out.hidden.double() * direction).mean()
    grads = torch.autograd.grad(loss, tuple(parameters.values()), allow_unused=True)
    return dict(zip(parameters, grads, strict=True))


@pytest.fixture
def shared(random_model):
    return random_model(CONFIG, spread=0.05)


def in_bf16(model):
    model.compute_dtype = torch.bfloat16
    return model


def test_the_sum_over_depths_is_a_sum_in_fp32(shared):
    unshared = litebert.build(replace(CONFIG, sharing="none")).eval()
    own = shared.state_dict()
    unshared.load_state_dict(
        {name: own[re.sub(r"s\.\d+\.", "s.0.", name)] for name in unshared.state_dict()}
    )
    apart = gradients(in_bf16(unshared), dict(unshared.named_parameters()))
    per_depth = [apart[WEIGHT.format(depth)] for depth in range(CONFIG.depth)]
    together = gradients(in_bf16(shared), dict(shared.named_parameters()))[WEIGHT.format(0)]

    exact = torch.stack(per_depth).double().sum(0)
    in_half = torch.zeros_like(together, dtype=torch.bfloat16)
    for gradient in per_depth:
        in_half += gradient.bfloat16()
    scale = exact.norm()
    assert (together - exact).norm() / scale < 1e-6
    assert (in_half - exact).norm() / scale > 1e-3, "the test could not tell the two apart"


def test_casting_at_each_use_is_nearer_to_the_true_gradient_than_casting_once(shared):
    exact_model = litebert.build(CONFIG).eval().double()
    exact_model.load_state_dict(shared.state_dict())
    exact_model.compute_dtype = torch.float64
    true = gradients(exact_model, dict(exact_model.named_parameters()))

    weights = dict(in_bf16(shared).named_parameters())
    per_use = gradients(shared, weights)
    dense = {
        f"{name}.{leaf}"
        for name, module in shared.named_modules()
        if isinstance(module, Linear)
        for leaf in ("weight", "bias")
    }
    cast = {name: w.bfloat16() if name in dense else w for name, w in weights.items()}
    once = gradients(shared, cast)

    def error(grads):
        names = [name for name in dense if name.startswith(("attentions", "feed_forwards"))]
        return sum((grads[name] - true[name]).norm() / true[name].norm() for name in names)

    assert error(per_use) < 0.8 * error(once)
