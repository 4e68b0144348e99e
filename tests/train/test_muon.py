"""Muon is torch's Muon on each matrix, and a fused query-key-value weight is three matrices."""

import pytest
import torch

from litebert.train.muon import Muon, orthogonalise

STEPS = 20
RATE, DECAY = 0.02, 0.1


def gradients(rows: int, columns: int, *, seed: int) -> torch.Tensor:
    """(STEPS, rows, columns) with a common direction, so that momentum matters."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(STEPS, rows, columns, generator=generator)
    return noise + torch.randn(rows, columns, generator=generator)


def walk(optimizer: torch.optim.Optimizer, weights: list, grads: list) -> list[torch.Tensor]:
    """The weights after STEPS steps."""
    for step in range(STEPS):
        for weight, grad in zip(weights, grads, strict=True):
            weight.grad = grad[step].clone()
        optimizer.step()
    return [weight.detach() for weight in weights]


def ours(
    starts: list, grads: list, *, stacked: int = 1, dtype: torch.dtype = torch.bfloat16
) -> list[torch.Tensor]:
    weights = [start.clone().requires_grad_() for start in starts]
    group = {"params": weights, "stacked": stacked}
    muon = Muon([group], lr=RATE, weight_decay=DECAY, dtype=lambda: dtype)
    return walk(muon, weights, grads)


def torchs(starts: list, grads: list) -> list[torch.Tensor]:
    weights = [start.clone().requires_grad_() for start in starts]
    optimizer = torch.optim.Muon(
        weights,
        lr=RATE,
        weight_decay=DECAY,
        momentum=0.95,
        nesterov=True,
        ns_steps=5,
        adjust_lr_fn="match_rms_adamw",
    )
    return walk(optimizer, weights, grads)


def distance(mine: torch.Tensor, theirs: torch.Tensor, start: torch.Tensor) -> float:
    """How far apart two ends are, as a share of the way from the start."""
    return float((mine - theirs).norm() / (theirs - start).norm())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(("rows", "columns"), [(32, 32), (24, 96), (96, 24), (1, 16)])
def test_separate_matrices_go_torchs_way(rows, columns, dtype):
    start = torch.randn(rows, columns, generator=torch.Generator().manual_seed(9)) * 0.02
    grads = gradients(rows, columns, seed=1)
    (mine,), (theirs,) = ours([start], [grads], dtype=dtype), torchs([start], [grads])
    assert distance(mine, theirs, start) < 0.03  # torch's products are in bf16


def test_fused_weight_is_three_matrices_of_torchs():
    starts = [torch.randn(24, 24, generator=torch.Generator().manual_seed(n)) for n in range(3)]
    # parts of very different size: made orthogonal together, the small ones would hardly move
    grads = [gradients(24, 24, seed=n) * 10.0**-n for n in range(3)]
    theirs = torch.cat(torchs(starts, grads))
    start, grad = torch.cat(starts), torch.cat(grads, dim=1)
    (fused,) = ours([start], [grad], stacked=3)
    assert distance(fused, theirs, start) < 0.03
    (as_one,) = ours([start], [grad], stacked=1)
    assert distance(as_one, theirs, start) > 0.2


def test_singular_values_come_near_1():
    matrices = gradients(40, 25, seed=3)
    values = torch.linalg.svdvals(orthogonalise(matrices).float())
    assert values.min() > 0.3
    assert values.max() < 1.3
