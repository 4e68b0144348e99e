"""Bidirectional attention inside each sequence of a packed batch, and its plain reference.

Lan et al. 2020 use BERT's attention unchanged. `attend` is the one entrance; `attend_reference`
is a loop over sequences in plain arithmetic, kept as the oracle of the tests.
"""

# T = packed tokens, N = heads, D = head size; rows and S belong to one group (model/packed.py)

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from litebert.model.packed import Group, Grouping, Layout
from litebert.model.product_attention import product_attention


def attend(qkv_T3ND: Tensor, layout: Layout, *, dropout: float = 0.0) -> Tensor:
    """Attention of every token to the tokens of its own sequence: (T, 3, N, D) in, (T, N, D) out.

    Sequences of one length are rows already and cost nothing extra. Others go to the kernel for
    packed tokens where there is one (GPUs, bf16 or fp16, no dropout), or run in groups of nearly
    equal length, padded inside this function only.
    """
    uniform = layout.uniform_length
    half = qkv_T3ND.dtype in (torch.bfloat16, torch.float16)
    if qkv_T3ND.dtype == torch.bfloat16 and qkv_T3ND.device.type == "cpu":
        rows = None if uniform is None else Group(len(layout.lengths), uniform, None)
        return product_attention(qkv_T3ND, rows or layout.grouping, dropout=dropout)
    if uniform is not None:
        return _rows_attend(qkv_T3ND, len(layout.lengths), None, dropout)
    if qkv_T3ND.device.type == "cuda" and half and not dropout:
        return _packed_attend(qkv_T3ND, layout)
    grouping = layout.grouping
    cells_C3ND = _Pad.apply(qkv_T3ND, grouping)
    parts = cells_C3ND.split([group.cells for group in grouping.groups])
    attended = [
        _rows_attend(part, group.rows, group.real, dropout)
        for part, group in zip(parts, grouping.groups, strict=True)
    ]
    return _Unpad.apply(torch.cat(attended) if len(attended) > 1 else attended[0], grouping)


def attend_reference(qkv_T3ND: Tensor, layout: Layout) -> Tensor:
    """The definition of `attend`: softmax(q k^T / sqrt(D)) v, one sequence after another."""
    outputs = []
    for qkv in layout.unpack(qkv_T3ND):
        q_NSD, k_NSD, v_NSD = qkv.permute(1, 2, 0, 3)
        scores_NSS = q_NSD @ k_NSD.transpose(-1, -2) / math.sqrt(qkv.shape[-1])
        outputs.append((scores_NSS.softmax(-1) @ v_NSD).transpose(0, 1))
    return torch.cat(outputs)


def _packed_attend(qkv: Tensor, layout: Layout) -> Tensor:
    offsets, longest = layout.offsets.int(), max(layout.lengths)
    q, k, v = qkv.unbind(1)
    # brings the compiler along, seconds of every start, and only GPUs need it
    from torch.nn.attention.varlen import varlen_attn

    out = varlen_attn(q, k, v, offsets, offsets, longest, longest)
    assert isinstance(out, Tensor)  # a pair only when more than the output is asked for
    return out


def _rows_attend(qkv: Tensor, rows: int, real: Tensor | None, dropout: float) -> Tensor:
    q, k, v = qkv.unflatten(0, (rows, -1)).permute(2, 0, 3, 1, 4)  # each (rows, N, S, D)
    mask = None if real is None else real[:, None, None, :]
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout)
    return out.transpose(1, 2).flatten(0, 1)


class _Pad(torch.autograd.Function):
    """Packed tokens to the cells of all groups.

    Autograd's own backward of indexing adds rows one by one, since cells could share a token.
    Here the cells of padding receive no gradient (their keys are masked, their outputs dropped),
    so the backward only copies.
    """

    @staticmethod
    def forward(ctx, packed: Tensor, grouping: Grouping) -> Tensor:
        ctx.grouping = grouping
        return packed.index_select(0, grouping.token_of_cell)

    @staticmethod
    def backward(ctx, grad: Tensor):
        return grad.index_select(0, ctx.grouping.cell_of_token), None


class _Unpad(torch.autograd.Function):
    """Cells of all groups back to packed tokens; cells of padding get a gradient of zero."""

    @staticmethod
    def forward(ctx, cells: Tensor, grouping: Grouping) -> Tensor:
        ctx.grouping = grouping
        return cells.index_select(0, grouping.cell_of_token)

    @staticmethod
    def backward(ctx, grad: Tensor):
        grouping = ctx.grouping
        out = grad.new_zeros((len(grouping.token_of_cell), *grad.shape[1:]))
        return out.index_copy_(0, grouping.cell_of_token, grad), None
