"""Muon: momentum whose update is made orthogonal, for the matrices of the shared block.

Jordan et al. 2024 (Newton-Schulz iteration) with the scale of Liu et al. 2025 that matches AdamW's
root mean square. Differs from torch.optim.Muon in one thing: a fused query-key-value weight is
three matrices stacked, and each is made orthogonal on its own.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

# Quintic iteration that pulls all singular values towards 1 (Jordan et al. 2024).
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5


class Muon(Optimizer):
    """Momentum, Nesterov look-ahead, orthogonalisation, step of 0.2 sqrt(max(rows, columns)).

    Parameters are matrices (rows, columns); a group's `stacked` says how many matrices of equal
    shape lie on top of each other in each of its parameters. `dtype` says in what arithmetic the
    products are: bfloat16 is enough (Jordan et al. 2024), but slow where hardware lacks it.
    """

    def __init__(
        self,
        groups: list[dict],
        *,
        lr: float,
        momentum: float = 0.95,
        weight_decay: float = 0.0,
        dtype: Callable[[], torch.dtype] = lambda: torch.bfloat16,
    ):
        self.dtype = dtype
        defaults = {"lr": lr, "momentum": momentum, "weight_decay": weight_decay, "stacked": 1}
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure=None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Apply one update from the gradients."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["momentum"] = torch.zeros_like(weight)
                momentum = state["momentum"].lerp_(weight.grad, 1 - group["momentum"])
                update = weight.grad.lerp(momentum, group["momentum"])
                matrices = update.unflatten(0, (group["stacked"], -1))
                scale = 0.2 * max(matrices.shape[-2:]) ** 0.5
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                orthogonal = orthogonalise(matrices.to(self.dtype())).flatten(0, 1)
                weight.add_(orthogonal.to(weight.dtype), alpha=-group["lr"] * scale)


def orthogonalise(matrices: Tensor) -> Tensor:
    """The nearest matrices with singular values near 1: (n, rows, columns) in and out."""
    a, b, c = COEFFICIENTS
    x = matrices
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x.mT if tall else x
