"""The losses of pretraining, as sums: whoever calls divides by the count of the global batch.

The masked-LM loss never holds the fp32 logits of all P positions: softmax and loss walk over chunks
of rows that stay in cache, while the gradient of the embeddings is one product over many of them.
"""

# P = predicted positions, E = embedding, V = vocabulary, B = sequences

import torch
from torch import Tensor
from torch.nn import functional as F

# Logits alive at once: 2 M in fp32 are 8 MB, which a core's share of cache holds.
CHUNK_LOGITS = 1 << 21
# Gradients of logits alive at once, in the dtype of the input: 128 MB in bf16. One product over
# them all took 60 % of the time of a product and an addition to (V, E) after every chunk (LOG.md).
BLOCK_LOGITS = 1 << 26


def masked_lm_loss(
    x_PE: Tensor, embedding_VE: Tensor, bias_V: Tensor, targets_P: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum of cross-entropies of `x @ embedding.T + bias` and the count of right predictions.

    Products run in the dtype of `x`, softmax and sums in fp32. Returns two scalars; only the
    first has a gradient.
    """
    return _LinearCrossEntropy.apply(x_PE, embedding_VE, bias_V, targets_P)


def sentence_loss(logits_B2: Tensor, labels_B: Tensor) -> tuple[Tensor, Tensor]:
    """Sum of cross-entropies over sequences with a label (not -1), and the count of right ones."""
    total = F.cross_entropy(logits_B2.float(), labels_B, ignore_index=-1, reduction="sum")
    return total, (logits_B2.argmax(-1) == labels_B).sum()


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, embedding: Tensor, bias: Tensor, targets: Tensor):
        weight = embedding.to(x.dtype)
        needs_grad = any(ctx.needs_input_grad[:3])
        total = torch.zeros((), dtype=torch.float32, device=x.device)
        right = torch.zeros((), dtype=torch.long, device=x.device)
        if needs_grad:
            grad_x = torch.empty_like(x)
            grad_weight = torch.zeros_like(embedding)
            grad_bias = torch.zeros_like(bias)
        block = max(1, BLOCK_LOGITS // len(bias))
        for start in range(0, len(x), block):
            rows = x[start : start + block]
            loss, hits, grad, sums = _cross_entropy(
                rows, weight, bias, targets[start : start + block], needs_grad
            )
            total += loss
            right += hits
            if grad is not None:
                torch.mm(grad, weight, out=grad_x[start : start + block])
                grad_weight += grad.t() @ rows
                grad_bias += sums
        if needs_grad:
            ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        ctx.mark_non_differentiable(right)
        return total, right

    @staticmethod
    def backward(ctx, grad_total: Tensor, _):
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        scaled = grad_total.to(grad_x.dtype)
        return grad_x * scaled, grad_weight * grad_total, grad_bias * grad_total, None


def _cross_entropy(
    x: Tensor, weight: Tensor, bias: Tensor, targets: Tensor, needs_grad: bool
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Sum of losses, right predictions, gradient of the logits in `x`'s dtype, its sum (V,)."""
    total = torch.zeros((), dtype=torch.float32, device=x.device)
    right = torch.zeros((), dtype=torch.long, device=x.device)
    sums = torch.zeros_like(bias)
    # one product for all rows: of a few rows at a time it takes three times as long on CPUs
    logits_of_all = torch.addmm(bias.to(x.dtype), x, weight.t())
    chunk = max(1, CHUNK_LOGITS // len(bias))
    for start in range(0, len(x), chunk):
        rows = slice(start, start + chunk)
        logits = logits_of_all[rows].to(torch.float32, copy=True)
        target = targets[rows, None]
        target_logit = logits.gather(1, target)
        top = logits.amax(1, keepdim=True)
        right += (target_logit >= top).sum()
        # one exp serves the loss and, divided by its sum, the gradient
        powers = logits.sub_(top).exp_()
        mass = powers.sum(1, keepdim=True)
        total += (mass.log() + top - target_logit).sum()
        if needs_grad:
            powers.div_(mass).scatter_add_(1, target, torch.full_like(target_logit, -1.0))
            sums += powers.sum(0)
            logits_of_all[rows] = powers  # no longer needed as logits
    return total, right, logits_of_all if needs_grad else None, sums
