"""The tanh GELU in bf16 on CPUs is as near to float64 as the library's own kernel."""

import pytest
import torch
from torch.nn import functional as F

from litebert.model.activation import activate


@pytest.mark.parametrize("shape", [(1,), (7, 5), (300, 1024), (3, 1 << 18)])
def test_as_near_as_the_library(shape):
    generator = torch.Generator().manual_seed(0)
    x = (3 * torch.randn(shape, generator=generator)).bfloat16().requires_grad_()
    direction = torch.randn(shape, generator=generator).bfloat16()
    exact_x = x.detach().double().requires_grad_()
    exact = F.gelu(exact_x, approximate="tanh")
    exact.backward(direction.double())
    ours, library = activate(x, "gelu_tanh"), F.gelu(x.detach(), approximate="tanh")
    ours.backward(direction)
    assert ours.dtype == torch.bfloat16
    assert ours.shape == x.shape
    error = (ours.double() - exact).abs()
    assert error.norm() <= 1.001 * (library.double() - exact).norm()
    # half a unit of the last of the eight bits of bf16, and a little for fp32
    assert (error <= 2**-8 * exact.abs() + 1e-6).all()
    gradient_error = (x.grad.double() - exact_x.grad).abs()
    assert (gradient_error <= 2**-8 * exact_x.grad.abs() + 1e-5).all()


def test_ends_of_the_range():
    x = torch.tensor([-torch.inf, -1e30, -30.0, -0.0, 0.0, 30.0, 1e30, torch.inf, torch.nan])
    got = activate(x.bfloat16(), "gelu_tanh").float()
    assert torch.equal(
        got[2:8], torch.tensor([0.0, 0.0, 0.0, 30.0, 1e30, torch.inf]).bfloat16().float()
    )
    assert got[8].isnan()
    assert not got[1].abs() > 0
