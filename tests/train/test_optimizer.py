"""Every parameter has one optimizer, biases and LayerNorms are spared, and AdamW is torch's."""

import re
from pathlib import Path

import pytest
import torch

from litebert import ModelConfig, build
from litebert.train.optimizer import build_optimizers
from litebert.train.recipe import PretrainRecipe

SHAPE = {"hidden_size": 16, "heads": 2, "depth": 4, "inner_size": 24, "vocab_size": 30}
PLANS = {
    "all": {"embedding_size": 8},
    "attention": {"embedding_size": 8, "sharing": "attention"},
    "feed_forward": {"embedding_size": 8, "sharing": "feed_forward"},
    "groups": {"embedding_size": 8, "sharing": "groups", "groups": 2},
    "inner": {"embedding_size": 8, "inner_blocks": 2},
    "none": {"embedding_size": 16, "sharing": "none", "embedding_projection": False},
}
# Google's exclude_from_weight_decay, in the names of this code.
EXCLUDED = re.compile(r"norm|bias")


def recipe(optimizer: str, **changes) -> PretrainRecipe:
    return PretrainRecipe(data=Path("none"), steps=1, optimizer=optimizer, **changes)


def owners(model, optimizers) -> dict[str, list[tuple[torch.optim.Optimizer, dict]]]:
    """For each parameter's name, every optimizer and group that holds it."""
    return {
        name: [
            (optimizer, group)
            for optimizer in optimizers
            for group in optimizer.param_groups
            if any(parameter is other for other in group["params"])
        ]
        for name, parameter in model.named_parameters()
    }


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
@pytest.mark.parametrize("optimizer", ["muon", "adamw", "lamb"])
def test_every_parameter_once_and_excluded_by_name(plan, optimizer):
    model = build(ModelConfig(**SHAPE, **plan))
    chosen = recipe(optimizer, lr=0.5, muon_lr=0.25, weight_decay=0.125)
    for name, held in owners(model, build_optimizers(model, chosen)).items():
        assert len(held) == 1, name
        owner, group = held[0]
        matrix = re.fullmatch(r"(attentions|feed_forwards)\.\d+\.\w+\.weight", name)
        in_muon = optimizer == "muon" and matrix is not None and not EXCLUDED.search(name)
        expected = {"adamw": "AdamW", "lamb": "Lamb", "muon": "Muon" if in_muon else "AdamW"}
        assert type(owner).__name__ == expected[optimizer], name
        assert group["peak_lr"] == (0.25 if in_muon else 0.5), name
        if in_muon:
            assert group["stacked"] == (3 if ".qkv." in name else 1), name
        elif optimizer == "lamb":
            assert group["adapt"] is not bool(EXCLUDED.search(name)), name
        else:
            assert group["weight_decay"] == (0 if EXCLUDED.search(name) else 0.125), name


def test_paper_recipe_reaches_lamb():
    model = build(ModelConfig(**SHAPE, **PLANS["all"]))
    (lamb,) = build_optimizers(model, recipe("lamb", betas=(0.9, 0.999), weight_decay=0.01))
    for group in lamb.param_groups:
        assert group["betas"] == (0.9, 0.999)
        assert group["eps"] == 1e-6
        assert group["weight_decay"] == 0.01


def test_adamw_is_torchs():
    mine, theirs = (build(ModelConfig(**SHAPE, **PLANS["all"]), seed=3) for _ in range(2))
    chosen = recipe("adamw", lr=0.01, weight_decay=0.1, betas=(0.8, 0.9))
    optimizers = build_optimizers(mine, chosen)
    references = [
        torch.optim.AdamW(
            [parameter],
            lr=0.01,
            betas=(0.8, 0.9),
            eps=1e-6,
            weight_decay=0.0 if EXCLUDED.search(name) else 0.1,
            foreach=False,
        )
        for name, parameter in theirs.named_parameters()
    ]
    generator = torch.Generator().manual_seed(0)
    for _ in range(10):
        for a, b in zip(mine.parameters(), theirs.parameters(), strict=True):
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        for optimizer in [*optimizers, *references]:
            optimizer.step()
    for (name, a), b in zip(mine.named_parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6, msg=name)
