"""The chunked masked-LM loss is cross-entropy, value and gradients, for any number of rows."""

import pytest
import torch
from torch.nn import functional as F

import litebert.model.loss as loss_module
from litebert.model.loss import masked_lm_loss, sentence_loss

VOCABULARY, CHUNK_ROWS = 70, 64


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(loss_module, "CHUNK_LOGITS", VOCABULARY * CHUNK_ROWS)


def inputs(rows: int, dtype: torch.dtype = torch.float32):
    draw = torch.Generator().manual_seed(rows)
    x = torch.randn(rows, 12, generator=draw).to(dtype).requires_grad_()
    table = torch.randn(VOCABULARY, 12, generator=draw, requires_grad=True)
    bias = torch.randn(VOCABULARY, generator=draw, requires_grad=True)
    return x, table, bias, torch.randint(VOCABULARY, (rows,), generator=draw)


@pytest.mark.parametrize(
    "rows", [1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 3 * CHUNK_ROWS + 7]
)
@pytest.mark.parametrize("scale", [1.0, 0.125])
def test_chunked_loss_is_cross_entropy_with_its_gradients(rows, scale):
    x, table, bias, targets = inputs(rows)
    total, right = masked_lm_loss(x, table, bias, targets)
    grads = torch.autograd.grad(total * scale, (x, table, bias))

    wide = [tensor.detach().double().requires_grad_() for tensor in (x, table, bias)]
    logits = F.linear(wide[0], wide[1], wide[2])
    expected = F.cross_entropy(logits, targets, reduction="sum")
    expected_grads = torch.autograd.grad(expected * scale, wide)

    torch.testing.assert_close(total.double(), expected, rtol=1e-6, atol=1e-6)
    assert right == (logits.argmax(1) == targets).sum()
    for grad, exact in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad.double(), exact, rtol=1e-5, atol=1e-5)


def test_bf16_inputs_keep_softmax_and_sums_in_fp32():
    """Against fp64 on the same rounded inputs: products in bf16 leave about 3 digits."""
    x, table, bias, targets = inputs(2 * CHUNK_ROWS, torch.bfloat16)
    total, _ = masked_lm_loss(x, table, bias, targets)
    (grad,) = torch.autograd.grad(total, table)
    assert total.dtype == grad.dtype == torch.float32
    wide = [tensor.detach().bfloat16().double() for tensor in (x, table, bias)]
    wide[1].requires_grad_()
    expected = F.cross_entropy(F.linear(*wide), targets, reduction="sum")
    (exact,) = torch.autograd.grad(expected, wide[1])
    torch.testing.assert_close(total.double(), expected, rtol=3e-3, atol=0)
    assert (grad - exact).norm() < 1e-2 * exact.norm()


def test_no_prediction_costs_nothing():
    x, table, bias, targets = inputs(0)
    total, right = masked_lm_loss(x, table, bias, targets)
    total.backward()
    assert total == 0
    assert right == 0
    assert table.grad is not None
    assert not table.grad.any()


def test_sentence_loss_leaves_out_sequences_without_a_label():
    logits = torch.tensor([[2.0, 0.5], [0.1, 0.3], [1.0, 4.0], [3.0, 1.0]], requires_grad=True)
    total, right = sentence_loss(logits, torch.tensor([0, -1, 1, 1]))
    labelled = logits[[0, 2, 3]].double()
    expected = F.cross_entropy(labelled, torch.tensor([0, 1, 1]), reduction="sum")
    torch.testing.assert_close(total.double(), expected, rtol=1e-6, atol=0)
    assert right == 2
    (grad,) = torch.autograd.grad(total, logits)
    assert not grad[1].any()
