"""Which optimizer updates which parameter: each is in exactly one group of one optimizer."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.optim import AdamW, Optimizer

from litebert.model.encoder import Model
from litebert.train.lamb import Lamb
from litebert.train.muon import Muon
from litebert.train.recipe import PretrainRecipe


def build_optimizers(model: Model, recipe: PretrainRecipe) -> list[Optimizer]:
    """The optimizers of a recipe, each group with its peak rate under `peak_lr`.

    Biases and LayerNorms are not decayed (Google's exclusion list, by kind instead of by name).
    With "muon" the two-dimensional weights of the blocks go to Muon and the rest to AdamW.
    """
    named = dict(model.named_parameters())
    plain = {name for name, parameter in named.items() if parameter.ndim == 1}
    if recipe.optimizer == "lamb":
        groups = [
            {"params": [named[n] for n in named if n not in plain]},
            {"params": [named[n] for n in named if n in plain], "adapt": False},
        ]
        optimizers: list[Optimizer] = [
            Lamb(groups, lr=recipe.lr, weight_decay=recipe.weight_decay, betas=recipe.betas)
        ]
    else:
        matrices = set()
        if recipe.optimizer == "muon":
            matrices = {n for n in named if n not in plain and _in_block(n)}
        groups = [
            {"params": [named[n] for n in named if n not in plain | matrices]},
            {"params": [named[n] for n in named if n in plain], "weight_decay": 0.0},
        ]
        adamw = AdamW(
            groups,
            lr=recipe.lr,
            betas=recipe.betas,
            eps=1e-6,
            weight_decay=recipe.weight_decay,
            fused=True,
        )
        optimizers = [adamw]
        if matrices:
            fused = {n for n in matrices if ".qkv." in n}
            groups = [
                {"params": [named[n] for n in named if n in fused], "stacked": 3},
                {"params": [named[n] for n in named if n in matrices - fused]},
            ]
            optimizers.append(
                Muon(
                    groups,
                    lr=recipe.muon_lr,
                    weight_decay=recipe.muon_weight_decay,
                    # a run that is resumed learns only then in which arithmetic it goes on
                    dtype=lambda: model.compute_dtype or torch.float32,
                )
            )
    _check_every_parameter_once(model, optimizers)
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["peak_lr"] = group["lr"]
    return optimizers


def update(
    optimizers: Sequence[Optimizer],
    parameters: Sequence[Tensor],
    *,
    norm: float,
    clip: float,
    rate_factor: float,
) -> None:
    """One step at a share of the peak rates, gradients of length `norm` cut to `clip`."""
    if norm > clip:  # else a pass over all gradients would multiply them by one
        nn.utils.clip_grads_with_norm_(parameters, clip, torch.tensor(norm))
    for optimizer in optimizers:
        for group in optimizer.param_groups:
            group["lr"] = group["peak_lr"] * rate_factor
        optimizer.step()


def _in_block(name: str) -> bool:
    return name.startswith(("attentions.", "feed_forwards."))


def _check_every_parameter_once(model: nn.Module, optimizers: list[Optimizer]) -> None:
    owned = [id(p) for o in optimizers for group in o.param_groups for p in group["params"]]
    assert len(owned) == len(set(owned)), "a parameter is in two optimizer groups"
    assert set(owned) == {id(p) for p in model.parameters()}, "a parameter has no optimizer"
