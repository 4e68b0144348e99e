"""The losses of pretraining, as sums: whoever calls divides by the count of the global batch.

The masked-LM loss never holds the logits of all P positions: it walks over chunks of rows and
keeps only the gradients, which are the size of its inputs.
"""

# P = predicted positions, E = embedding, V = vocabulary, B = sequences

import torch
from torch import Tensor
from torch.nn import functional as F

# Logits alive at once: 2 M in fp32 are 8 MB, which a core's share of cache holds.
CHUNK_LOGITS = 1 << 21


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
        chunk = max(1, CHUNK_LOGITS // len(bias))
        for start in range(0, len(x), chunk):
            rows = slice(start, start + chunk)
            logits = torch.addmm(bias.to(x.dtype), x[rows], weight.t()).float()
            target = targets[rows, None]
            target_logit = logits.gather(1, target)
            top = logits.amax(1, keepdim=True)
            right += (target_logit >= top).sum()
            # one exp serves the loss and, divided by its sum, the gradient
            powers = logits.sub_(top).exp_()
            mass = powers.sum(1, keepdim=True)
            total += (mass.log() + top - target_logit).sum()
            if needs_grad:
                grad = powers.div_(mass)
                grad.scatter_add_(1, target, torch.full_like(target_logit, -1.0))
                grad_bias += grad.sum(0)
                grad = grad.to(x.dtype)
                torch.mm(grad, weight, out=grad_x[rows])
                grad_weight += grad.t() @ x[rows]
        if needs_grad:
            ctx.save_for_backward(grad_x, grad_weight, grad_bias)
        ctx.mark_non_differentiable(right)
        return total, right

    @staticmethod
    def backward(ctx, grad_total: Tensor, _):
        grad_x, grad_weight, grad_bias = ctx.saved_tensors
        scaled = grad_total.to(grad_x.dtype)
        return grad_x * scaled, grad_weight * grad_total, grad_bias * grad_total, None
