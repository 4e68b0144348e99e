"""In bf16, the many gradients of one shared weight are summed in fp32, not in bf16."""

import re
from dataclasses import replace

import torch
from torch import nn

import litebert
from litebert.model.layers import Linear

CONFIG = litebert.ModelConfig(
    hidden_size=64, heads=4, depth=24, inner_size=128, embedding_size=32, vocab_size=60
)
BATCH = litebert.pack([[2, *range(5, 37), 3], [2, *range(20, 60), 3]])


def gradients(model: nn.Module, parameters: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    out = torch.func.functional_call(model, parameters, (BATCH,))
    direction = torch.randn(out.hidden.shape, generator=torch.Generator().manual_seed(3))
    loss = (out.hidden.double() * direction).mean()
    grads = torch.autograd.grad(loss, tuple(parameters.values()), allow_unused=True)
    return dict(zip(parameters, grads, strict=True))


def test_the_gradients_of_all_depths_are_summed_in_fp32(random_model):
    shared = random_model(CONFIG, spread=0.05)
    unshared = litebert.build(replace(CONFIG, sharing="none")).eval()
    own = shared.state_dict()
    unshared.load_state_dict(
        {name: own[re.sub(r"s\.\d+\.", "s.0.", name)] for name in unshared.state_dict()}
    )
    shared.compute_dtype = unshared.compute_dtype = torch.bfloat16
    dense = [
        f"{name}.weight"
        for name, module in shared.named_modules()
        if isinstance(module, Linear) and name.startswith(("attentions", "feed_forwards"))
    ]
    assert len(dense) == 4

    apart = gradients(unshared, dict(unshared.named_parameters()))
    weights = dict(shared.named_parameters())
    per_use = gradients(shared, weights)
    cast_once = gradients(
        shared,
        {name: w.bfloat16() if name in dense else w for name, w in weights.items()},
    )
    for name in dense:
        by_depth = [apart[name.replace(".0.", f".{depth}.")] for depth in range(CONFIG.depth)]
        exact = torch.stack(by_depth).double().sum(0)
        scale = exact.norm()
        assert (per_use[name] - exact).norm() / scale < 1e-6
        assert (cast_once[name] - exact).norm() / scale > 3e-3, "what casting once would cost"
