"""Attention by products and its hand-written backward pass, in float64 and in bf16."""

import pytest
import torch
from torch.testing import assert_close

import litebert
from litebert.model.attention import attend, attend_reference
from litebert.model.packed import Group
from litebert.model.product_attention import product_attention

RAGGED, UNIFORM = (7, 40, 33, 1, 90, 35), (6, 6, 6)


def inputs(lengths, dtype=torch.float64):
    batch = litebert.pack([[1] * length for length in lengths])
    generator = torch.Generator().manual_seed(len(lengths))
    qkv = torch.randn(sum(lengths), 3, 2, 8, generator=generator, dtype=torch.float64)
    uniform = batch.uniform_length
    rows = batch.grouping if uniform is None else Group(len(lengths), uniform, None)
    return batch, rows, qkv.to(dtype).requires_grad_()


@pytest.mark.parametrize("lengths", [RAGGED, UNIFORM])
def test_float64_is_the_definition_with_its_gradients(lengths):
    batch, rows, qkv = inputs(lengths)
    found, expected = product_attention(qkv, rows), attend_reference(qkv, batch)
    assert_close(found, expected, atol=1e-12, rtol=0)
    weights = torch.randn_like(found)
    gradients = [torch.autograd.grad((out * weights).sum(), qkv)[0] for out in (found, expected)]
    assert_close(*gradients, atol=1e-12, rtol=0)


@pytest.mark.parametrize("lengths", [(3, 5, 2), (4, 4)])
def test_gradients_under_dropout_are_those_of_differences(lengths):
    _, rows, qkv = inputs(lengths)

    def drawn_alike(values):
        torch.manual_seed(0)
        return product_attention(values, rows, dropout=0.3)

    assert not torch.equal(drawn_alike(qkv), product_attention(qkv, rows))
    assert torch.autograd.gradcheck(drawn_alike, (qkv,))


def test_dropout_leaves_the_mean():
    _, rows, qkv = inputs(UNIFORM)
    torch.manual_seed(0)
    with torch.no_grad():
        mean = torch.stack([product_attention(qkv, rows, dropout=0.2) for _ in range(4000)]).mean(0)
        assert_close(mean, product_attention(qkv, rows), atol=0.06, rtol=0)


@pytest.mark.parametrize("lengths", [RAGGED, UNIFORM])
def test_bf16_on_cpus_is_near_the_definition(lengths):
    batch, _, exact = inputs(lengths)
    _, _, qkv = inputs(lengths, torch.bfloat16)
    found, expected = attend(qkv, batch), attend_reference(exact, batch)
    assert_close(found.double(), expected, atol=0.03, rtol=0.02)
    weights = torch.randn_like(expected)
    (gradient,) = torch.autograd.grad((found * weights.bfloat16()).sum(), qkv)
    (exactly,) = torch.autograd.grad((expected * weights).sum(), exact)
    assert_close(gradient.double(), exactly, atol=0.08, rtol=0.05)
