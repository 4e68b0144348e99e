"""Dense layers and LayerNorms whose weights stay in fp32 whatever the dtype of the activations."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Linear(nn.Linear):
    """A dense layer that computes in the dtype of its input.

    The fp32 weight is cast for every use, not once under autocast, so that the L gradients of a
    shared weight are summed in fp32 instead of bf16 (tests/model/test_shared_gradient.py). Inside
    `cast_once` the uses share one copy of the values, not of the gradient.
    """

    _copy: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        copy = self._copy
        weight = self.weight.to(x.dtype) if copy is None else _Cast.apply(self.weight, copy)
        return F.linear(x, weight, self.bias.to(x.dtype))


class _Cast(torch.autograd.Function):
    """A weight as a copy of it that was made before; the gradient is cast back at every use."""

    @staticmethod
    def forward(ctx, weight: Tensor, copy: Tensor) -> Tensor:
        ctx.dtype = weight.dtype
        return copy.view_as(copy)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad.to(ctx.dtype), None


@contextmanager
def cast_once(blocks: Iterable[nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Cast the weights of all `Linear`s in some modules once for all uses inside the context."""
    layers = [layer for block in blocks for layer in block.modules() if isinstance(layer, Linear)]
    try:
        for layer in layers:
            if layer.weight.dtype != dtype:
                layer._copy = layer.weight.detach().to(dtype)
        yield
    finally:
        for layer in layers:
            layer._copy = None


class LayerNorm(nn.LayerNorm):
    """LayerNorm with statistics and affine in fp32: an epsilon of 1e-12 vanishes below that."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 or x.device.type == "cpu":  # the CPU kernel mixes dtypes
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)
