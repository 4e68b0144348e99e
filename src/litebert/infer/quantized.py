"""Dense layers in int8: weights rounded once, each output channel with a scale of its own.

Rows are rounded as they come, each between its own least and largest number, so that every token at
every depth has its own scale (Yao et al. 2022, arXiv 2206.01861, section 4). Products are exact.
"""

# T = rows, I = inputs, O = outputs

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from litebert.model.encoder import Model
from litebert.model.layers import Linear

# Largest number that a weight is rounded to.
LARGEST = 127


class QuantizedLinear(nn.Module):
    """A dense layer with int8 weights and a scale for every output channel."""

    weight: Tensor
    """(O, I) int8."""
    scales: Tensor
    """(O,) what a weight of 1 stands for."""
    bias: Tensor
    factors: Tensor | None
    """(I,) what inputs are multiplied with first, or nothing."""

    def __init__(self, weight: Tensor, scales: Tensor, bias: Tensor, factors: Tensor | None = None):
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("scales", scales)
        self.register_buffer("bias", bias)
        self.register_buffer("factors", factors)

    @classmethod
    def of(cls, layer: Linear, factors: Tensor | None = None) -> "QuantizedLinear":
        """A layer rounded to the nearest; with `factors` (I,) inputs are multiplied by it first."""
        weight = layer.weight.detach().float()
        if factors is not None:
            weight = weight / factors
        scales = weight.abs().amax(1).clamp_min(torch.finfo(torch.float32).tiny) / LARGEST
        rounded = (weight / scales[:, None]).round().to(torch.int8)
        return cls(rounded, scales, layer.bias.detach().float(), factors)

    def forward(self, x_TI: Tensor) -> Tensor:
        """(T, I) to (T, O) in the dtype of the input."""
        dtype, x = x_TI.dtype, x_TI.float()
        if self.factors is not None:
            x = x * self.factors
        rounded, scale_T1, lowest_T1 = round_rows(x)
        # sums of up to 2^27 are exact in fp64
        total = rounded.double() @ self.weight.double().t()
        real = total.float() * scale_T1 + lowest_T1 * self.weight.sum(1).float()
        return (real * self.scales + self.bias).to(dtype)


def round_rows(x_TI: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Rows as bytes from 0 to 255, and what they stand for: x = lowest + scale q, (T, 1) each."""
    low, high = x_TI.aminmax(dim=1, keepdim=True)
    scale = torch.where(high > low, (high - low) / 255, 1.0)
    rounded = ((x_TI - low) * (1 / scale)).round()
    return rounded.to(torch.uint8), scale, low


def quantize(model: Model, smoothing: Mapping[str, Tensor] | None = None) -> None:
    """Round the dense layers of a model's blocks to int8; embeddings, heads and norms stay.

    `smoothing` has, by the name of a layer, what its inputs are multiplied with first.
    """
    for part in ("attentions", "feed_forwards"):
        for number, block in enumerate(getattr(model, part)):
            for name, layer in list(block.named_children()):
                if isinstance(layer, Linear):
                    factors = (smoothing or {}).get(f"{part}.{number}.{name}")
                    setattr(block, name, QuantizedLinear.of(layer, factors))
