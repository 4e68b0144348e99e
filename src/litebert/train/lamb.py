"""LAMB as ALBERT was pretrained with it.

Google's lamb_optimizer.py: no bias correction, epsilon outside the root, and one list of excluded
names (biases and LayerNorm) for both weight decay and the trust ratio. Other LAMBs differ.
"""

import torch
from torch import Tensor
from torch.optim import Optimizer


class Lamb(Optimizer):
    """Layer-wise adaptive moments; groups with `adapt=False` get plain Adam at the full rate.

    m = b1 m + (1-b1) g,  v = b2 v + (1-b2) g^2,  u = m / (sqrt(v) + eps) + decay w,
    w -= lr * |w|/|u| * u. A ratio with a zero norm counts as 1 and the ratio is never clipped.
    A shared matrix is one parameter with one ratio, from the summed gradient of all its uses.
    """

    def __init__(
        self,
        groups: list[dict],
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-6,
        weight_decay: float = 0.01,
    ):
        defaults = {
            "lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "adapt": True,
        }  # fmt: skip
        super().__init__(groups, defaults)

    @torch.no_grad()
    def step(self, closure=None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Apply one update from the gradients."""
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                state = self.state[weight]
                if not state:
                    state["m"] = torch.zeros_like(weight)
                    state["v"] = torch.zeros_like(weight)
                m = state["m"].mul_(beta1).add_(weight.grad, alpha=1 - beta1)
                v = state["v"].mul_(beta2).addcmul_(weight.grad, weight.grad, value=1 - beta2)
                update = m / (v.sqrt() + group["eps"])
                if group["adapt"]:
                    update.add_(weight, alpha=group["weight_decay"])
                    update.mul_(_trust_ratio(weight, update))
                weight.add_(update, alpha=-group["lr"])


def _trust_ratio(weight: Tensor, update: Tensor) -> Tensor:
    weight_norm, update_norm = weight.norm(), update.norm()
    both = (weight_norm > 0) & (update_norm > 0)
    return torch.where(both, weight_norm / update_norm, 1.0)
