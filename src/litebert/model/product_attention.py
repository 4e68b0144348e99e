"""Attention by batched matrix products, for bf16 on CPUs, with a backward pass of its own.

The fused kernel's bf16 backward runs there at a fraction of the speed: 44 against 12 ms for
32 x 4 heads x 128 (LOG.md, 2026-11-22). Autograd through the products would copy queries, keys and
values four times more often.
"""

# T = packed tokens, C = cells of all groups, N = heads, D = head size; rows and S of one group

import math

import torch
from torch import Tensor

from litebert.model.packed import Group, Grouping


def product_attention(
    qkv_T3ND: Tensor, grouping: Grouping | Group, *, dropout: float = 0.0
) -> Tensor:
    """Attention inside every row: (T, 3, N, D) in, (T, N, D) out.

    A single group stands for packed tokens that are its rows already, without padding.
    """
    return _ProductAttention.apply(qkv_T3ND, grouping, dropout)


class _ProductAttention(torch.autograd.Function):
    """softmax(q k^T / sqrt(D)) v for the rows of each group in turn."""

    @staticmethod
    def forward(ctx, qkv: Tensor, grouping: Grouping | Group, dropout: float) -> Tensor:
        _, _, heads, size = qkv.shape
        ragged = isinstance(grouping, Grouping)
        groups = grouping.groups if ragged else (grouping,)
        cells = qkv.index_select(0, grouping.token_of_cell) if ragged else qkv
        out = cells.new_empty(len(cells), heads, size)
        ctx.grouping, ctx.dropout, kept = grouping, dropout, []
        parts = [group.cells for group in groups]
        for group, inputs, target in zip(groups, cells.split(parts), out.split(parts), strict=True):
            q, k, v = _by_head(inputs.view(group.rows, group.length, 3, heads, size)).flatten(1, 2)
            q *= size**-0.5
            weights = _scores(q, k, group).softmax(-1)
            dropped, drawn = (weights, None)
            if dropout:
                dropped, drawn = torch.native_dropout(weights, dropout, True)
            attended = torch.bmm(dropped, v).view(group.rows, heads, group.length, size)
            target.view(group.rows, group.length, heads, size).copy_(attended.transpose(1, 2))
            kept += [q, k, v, weights, drawn]
        ctx.save_for_backward(*kept)
        return out.index_select(0, grouping.cell_of_token) if ragged else out

    @staticmethod
    def backward(ctx, grad: Tensor):
        grouping, kept = ctx.grouping, ctx.saved_tensors
        _, heads, size = grad.shape
        ragged = isinstance(grouping, Grouping)
        groups = grouping.groups if ragged else (grouping,)
        if ragged:  # what cells of padding put out was dropped
            whole = grad.new_zeros(len(grouping.token_of_cell), heads, size)
            grad = whole.index_copy_(0, grouping.cell_of_token, grad)
        out = grad.new_empty(len(grad), 3, heads, size)
        parts = [group.cells for group in groups]
        for number, (group, inputs, target) in enumerate(
            zip(groups, grad.split(parts), out.split(parts), strict=True)
        ):
            q, k, v, weights, drawn = kept[5 * number : 5 * number + 5]
            shape = group.rows, group.length, heads, size
            grad_out = inputs.reshape(shape).transpose(1, 2).flatten(0, 1)
            grad_weights = torch.bmm(grad_out, v.transpose(1, 2))
            dropped = weights
            if drawn is not None:
                scale = 1 / (1 - ctx.dropout)
                grad_weights = torch.ops.aten.native_dropout_backward(grad_weights, drawn, scale)
                dropped = weights * drawn * scale
            grad_scores = torch.ops.aten._softmax_backward_data(
                grad_weights, weights, -1, weights.dtype
            )
            grad_q = torch.bmm(grad_scores, k).mul_(size**-0.5)
            grad_k = torch.bmm(grad_scores.transpose(1, 2), q)
            grad_v = torch.bmm(dropped.transpose(1, 2), grad_out)
            by_head = _by_head(target.view(group.rows, group.length, 3, heads, size), copy=False)
            for place, value in zip(by_head, (grad_q, grad_k, grad_v), strict=True):
                place.copy_(value.view_as(place))
        return out.index_select(0, grouping.cell_of_token) if ragged else out, None, None


def _by_head(rows_RS3ND: Tensor, *, copy: bool = True) -> Tensor:
    turned = rows_RS3ND.permute(2, 0, 3, 1, 4)  # (3, rows, N, S, D)
    return turned.contiguous() if copy else turned


def _scores(q: Tensor, k: Tensor, group: Group) -> Tensor:
    if group.real is None:
        return torch.bmm(q, k.transpose(1, 2))
    # the mask as what the product is added to: a fill afterwards takes longer than the product
    rows, length = group.real.shape
    mask = torch.zeros(rows, length, dtype=q.dtype).masked_fill_(~group.real, -math.inf)
    mask = mask[:, None].expand(rows, len(q) // rows, length).reshape(-1, 1, length)
    return torch.baddbmm(mask, q, k.transpose(1, 2))
