"""Sharing only says which weights are the same: outputs as unshared, gradients as their sum."""

from dataclasses import replace

import pytest
import torch

import litebert

BASE = litebert.ModelConfig(
    hidden_size=32, heads=4, depth=5, inner_size=64, embedding_size=16, vocab_size=50
)
PLANS = {
    "attention": replace(BASE, sharing="attention"),
    "feed_forward": replace(BASE, sharing="feed_forward"),
    "all": BASE,
    "groups": replace(BASE, sharing="groups", groups=2),
    "inner": replace(BASE, depth=3, inner_blocks=2),
}


@pytest.mark.parametrize("config", PLANS.values(), ids=PLANS)
def test_a_shared_model_is_the_unshared_one_with_copied_weights(config, random_model):
    shared = random_model(config).double()
    steps = list(shared.plan)
    flat = replace(config, sharing="none", depth=len(steps), groups=1, inner_blocks=1)
    unshared = litebert.build(flat).eval().double()
    state = {
        name: value
        for name, value in shared.state_dict().items()
        if not name.startswith(("attentions.", "feed_forwards."))
    }
    for depth, (attention, feed_forward) in enumerate(steps):
        for kind, index in (("attentions", attention), ("feed_forwards", feed_forward)):
            for name, value in getattr(shared, kind)[index].state_dict().items():
                state[f"{kind}.{depth}.{name}"] = value
    unshared.load_state_dict(state)
    shared.compute_dtype = unshared.compute_dtype = torch.float64

    batch = litebert.pack([[2, 7, 9, 3], [2, 11, 3], [2, *range(5, 40), 3]])
    outputs = []
    for model in (shared, unshared):
        out = model(batch)
        (model.mlm_logits(out.hidden).logsumexp(-1).sum() + out.pooled.square().sum()).backward()
        outputs.append(out)
    torch.testing.assert_close(outputs[0].hidden, outputs[1].hidden, atol=1e-12, rtol=0)
    torch.testing.assert_close(outputs[0].pooled, outputs[1].pooled, atol=1e-12, rtol=0)

    for place, kind in ((0, "attentions"), (1, "feed_forwards")):
        for index, module in enumerate(getattr(shared, kind)):
            uses = [depth for depth, step in enumerate(steps) if step[place] == index]
            for name, parameter in module.named_parameters():
                summed = sum(
                    unshared.get_parameter(f"{kind}.{depth}.{name}").grad for depth in uses
                )
                torch.testing.assert_close(parameter.grad, summed, rtol=1e-9, atol=1e-10)
