"""Dense layers and LayerNorms whose weights stay in fp32 whatever the dtype of the activations."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Elements of a gradient that are cast and added at once: 512 KB in fp32 stay in a core's cache.
CAST_AT_ONCE = 1 << 17


class Linear(nn.Linear):
    """A dense layer that computes in the dtype of its input.

    The fp32 weight is cast for every use, not once under autocast, so that the L gradients of a
    shared weight are summed in fp32 instead of bf16 (tests/model/test_shared_gradient.py). Inside
    `cast_once` the uses share one copy of the values, and each adds its gradient to one sum.
    """

    _uses: "_Uses | None" = None

    def forward(self, x: Tensor) -> Tensor:
        bias = self.bias.to(x.dtype)
        if self._uses is None:
            return F.linear(x, self.weight.to(x.dtype), bias)
        return _Product.apply(x, bias, self._uses.handle, self._uses)


class _Uses:
    """One weight in all its uses of a pass: its values in another dtype, its gradient in fp32."""

    def __init__(self, weight: Tensor, dtype: torch.dtype):
        self.values = weight.detach().to(dtype)
        self.gradient: Tensor | None = None
        self.handle = _Handle.apply(weight, self)

    def add(self, gradient: Tensor) -> None:
        """Add the gradient of one use, cast to fp32 piece by piece where memory is the limit."""
        if self.gradient is None:
            self.gradient = gradient.float()
        elif gradient.device.type == "cpu":
            sums, more = self.gradient.view(-1), gradient.view(-1)
            for target, piece in zip(
                sums.split(CAST_AT_ONCE), more.split(CAST_AT_ONCE), strict=True
            ):
                target += piece
        else:
            self.gradient += gradient


class _Handle(torch.autograd.Function):
    """An empty tensor that stands for a weight; its backward runs after that of all uses."""

    @staticmethod
    def forward(ctx, weight: Tensor, uses: _Uses) -> Tensor:
        ctx.uses, ctx.dtype = uses, weight.dtype
        return weight.new_empty(0)

    @staticmethod
    def backward(ctx, _: Tensor):
        gradient, ctx.uses.gradient = ctx.uses.gradient, None
        return gradient.to(ctx.dtype), None


class _Product(torch.autograd.Function):
    """x @ values.T + bias; the gradient of the weight goes to its sum instead of to autograd."""

    @staticmethod
    def forward(ctx, x: Tensor, bias: Tensor, handle: Tensor, uses: _Uses) -> Tensor:
        ctx.save_for_backward(x)
        ctx.uses, ctx.nothing = uses, handle.detach()
        return F.linear(x, uses.values, bias)

    @staticmethod
    def backward(ctx, grad: Tensor):
        (x,) = ctx.saved_tensors
        if ctx.needs_input_grad[2]:
            ctx.uses.add(grad.t() @ x)
        grad_x = grad @ ctx.uses.values if ctx.needs_input_grad[0] else None
        grad_bias = grad.sum(0) if ctx.needs_input_grad[1] else None
        return grad_x, grad_bias, ctx.nothing, None


@contextmanager
def cast_once(blocks: Iterable[nn.Module], dtype: torch.dtype) -> Iterator[None]:
    """Cast the weights of all `Linear`s in some modules once for all uses inside the context."""
    layers = [layer for block in blocks for layer in block.modules() if isinstance(layer, Linear)]
    try:
        for layer in layers:
            if layer.weight.dtype != dtype:
                layer._uses = _Uses(layer.weight, dtype)
        yield
    finally:
        for layer in layers:
            layer._uses = None


class LayerNorm(nn.LayerNorm):
    """LayerNorm with statistics and affine in fp32: an epsilon of 1e-12 vanishes below that."""

    def forward(self, x: Tensor) -> Tensor:
        if x.dtype == torch.float32 or x.device.type == "cpu":  # the CPU kernel mixes dtypes
            return super().forward(x)
        return super().forward(x.float()).to(x.dtype)
