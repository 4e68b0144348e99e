"""Bidirectional attention inside each sequence of a packed batch, and its plain reference.

Lan et al. 2020 use BERT's attention unchanged. `attend` is the one entrance; `attend_reference`
is a loop over sequences in plain arithmetic, kept as the oracle of the tests.
"""

# T = packed tokens, N = heads, D = head size; rows and S belong to one group (model/packed.py)

import math

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.attention.varlen import varlen_attn

from litebert.model.packed import PackedBatch


def attend(qkv_T3ND: Tensor, packed: PackedBatch, *, dropout: float = 0.0) -> Tensor:
    """Attention of every token to the tokens of its own sequence: (T, 3, N, D) in, (T, N, D) out.

    Sequences of one length are rows already and cost nothing extra. Others go to the kernel for
    packed tokens where there is one (GPUs, bf16 or fp16, no dropout), or run in groups of nearly
    equal length, padded inside this function only.
    """
    if packed.uniform_length is not None:
        return _rows_attend(qkv_T3ND, len(packed.lengths), None, dropout)
    half = qkv_T3ND.dtype in (torch.bfloat16, torch.float16)
    if qkv_T3ND.device.type == "cuda" and half and not dropout:
        return _packed_attend(qkv_T3ND, packed)
    groups, cell_of_token = packed.groups
    attended = [
        _rows_attend(
            _Pad.apply(qkv_T3ND, group.tokens, group.real),
            group.rows,
            None if group.real is None else group.real[:, None, None, :],
            dropout,
        )
        for group in groups
    ]
    return _Unpad.apply(cell_of_token, *attended)


def attend_reference(qkv_T3ND: Tensor, packed: PackedBatch) -> Tensor:
    """The definition of `attend`: softmax(q k^T / sqrt(D)) v, one sequence after another."""
    outputs = []
    for qkv in packed.unpack(qkv_T3ND):
        q_NSD, k_NSD, v_NSD = qkv.permute(1, 2, 0, 3)
        scores_NSS = q_NSD @ k_NSD.transpose(-1, -2) / math.sqrt(qkv.shape[-1])
        outputs.append((scores_NSS.softmax(-1) @ v_NSD).transpose(0, 1))
    return torch.cat(outputs)


def _packed_attend(qkv: Tensor, packed: PackedBatch) -> Tensor:
    offsets, longest = packed.offsets.int(), max(packed.lengths)
    q, k, v = qkv.unbind(1)
    out = varlen_attn(q, k, v, offsets, offsets, longest, longest)
    assert isinstance(out, Tensor)  # a pair only when more than the output is asked for
    return out


def _rows_attend(qkv: Tensor, rows: int, mask: Tensor | None, dropout: float) -> Tensor:
    q, k, v = qkv.unflatten(0, (rows, -1)).permute(2, 0, 3, 1, 4)  # each (rows, N, S, D)
    if q.dtype == torch.bfloat16 and q.device.type == "cpu":
        out = _products_attend(q.contiguous(), k.contiguous(), v.contiguous(), mask, dropout)
    else:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return out.transpose(1, 2).flatten(0, 1)


def _products_attend(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout: float
) -> Tensor:
    # On CPUs the fused kernel's bf16 backward runs at a fraction of the speed of plain batched
    # products: 44 against 12 ms for 32 x 4 heads x 128 (LOG.md, 2026-11-22).
    scores = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    if mask is not None:
        scores = scores.masked_fill(~mask, -math.inf)
    return F.dropout(scores.softmax(-1), dropout) @ v


class _Pad(torch.autograd.Function):
    """Packed tokens to the cells of a group.

    Autograd's own backward of indexing adds rows one by one, since cells could share a token.
    Here the cells of padding receive no gradient (their keys are masked, their outputs dropped),
    so the backward only copies.
    """

    @staticmethod
    def forward(ctx, packed: Tensor, tokens: Tensor, real: Tensor | None) -> Tensor:
        ctx.total, ctx.real = packed.shape[0], real
        ctx.save_for_backward(tokens)
        return packed[tokens]

    @staticmethod
    def backward(ctx, grad: Tensor):
        (tokens,) = ctx.saved_tensors
        if ctx.real is not None:
            keep = ctx.real.flatten()
            tokens, grad = tokens[keep], grad[keep]
        out = grad.new_zeros((ctx.total, *grad.shape[1:]))
        return out.index_copy_(0, tokens, grad), None, None


class _Unpad(torch.autograd.Function):
    """Cells of all groups back to packed tokens; cells of padding get a gradient of zero."""

    @staticmethod
    def forward(ctx, cell_of_token: Tensor, *groups: Tensor) -> Tensor:
        ctx.sizes = [len(group) for group in groups]
        ctx.save_for_backward(cell_of_token)
        return torch.cat(groups)[cell_of_token]

    @staticmethod
    def backward(ctx, grad: Tensor):
        (cell_of_token,) = ctx.saved_tensors
        out = grad.new_zeros((sum(ctx.sizes), *grad.shape[1:]))
        out.index_copy_(0, cell_of_token, grad)
        return None, *out.split(ctx.sizes)
