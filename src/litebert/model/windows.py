"""Attention in windows, for documents longer than a model was made for.

Every token attends to its neighbours and to [CLS], [CLS] to all; every so manieth layer attends in
full. The paper suggests sparse attention for speed (section 5); the pattern is Longformer's
(Beltagy et al. 2020, arXiv 2004.05150), and with shared layers it is a mask chosen by the layer's
number: no weight is added. It changes a model's function, so nothing uses it unless asked.
"""

# T = packed tokens, N = heads, D = head size; R rows of Q queries and K keys

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from litebert.errors import InputError
from litebert.model.attention import attend
from litebert.model.packed import Layout


@dataclass(frozen=True)
class Windows:
    """Which layers attend in windows, and how wide those are."""

    radius: int
    """Tokens on either side that a token attends to."""
    full_every: int = 3
    """Layers 0, n, 2n, ... attend in full; 0 for none of them."""

    def __post_init__(self) -> None:
        if self.radius < 1 or self.full_every < 0:
            raise InputError(
                f"windows: radius={self.radius} must be at least 1 and "
                f"full_every={self.full_every} at least 0"
            )

    def radius_of(self, layer: int) -> int | None:
        """The radius of a layer; None where it attends in full."""
        full = self.full_every and layer % self.full_every == 0
        return None if full else self.radius


def window_attention(
    qkv_T3ND: Tensor, layout: Layout, radius: int, *, dropout: float = 0.0
) -> Tensor:
    """Attention to neighbours and [CLS], (T, 3, N, D) to (T, N, D), in time linear in T.

    Sequences whose tokens all see each other attend in full: rows would be wider than they are.
    """
    lengths = torch.tensor(layout.lengths)
    short = lengths <= radius + 1
    if short.all():
        return attend(qkv_T3ND, layout, dropout=dropout)
    if not short.any():
        return _attend_in_rows(qkv_T3ND, layout, radius, dropout)
    # tokens of long ones first
    order = short.repeat_interleave(lengths).argsort(stable=True).to(layout.device)
    long, full = (
        Layout(lengths=tuple(lengths[which].tolist()), device=layout.device)
        for which in (~short, short)
    )
    in_rows, in_full = qkv_T3ND.index_select(0, order).split([sum(long.lengths), sum(full.lengths)])
    attended = torch.cat(
        [_attend_in_rows(in_rows, long, radius, dropout), attend(in_full, full, dropout=dropout)]
    )
    return torch.empty_like(attended).index_copy(0, order, attended)


def _attend_in_rows(qkv_T3ND: Tensor, layout: Layout, radius: int, dropout: float) -> Tensor:
    """`window_attention` with queries in rows of 2 x radius neighbours, which share their keys."""
    places, real = _rows(layout, radius)
    q, k, v = qkv_T3ND.unbind(1)
    queries = 2 * radius
    rows_RQND = q[places[:, 1 + radius : 1 + radius + queries]]
    keys_RKND, values_RKND = k[places], v[places]
    mask_R1QK = real[:, None].to(qkv_T3ND.device)
    attended = F.scaled_dot_product_attention(
        rows_RQND.transpose(1, 2),
        keys_RKND.transpose(1, 2),
        values_RKND.transpose(1, 2),
        attn_mask=mask_R1QK,
        dropout_p=dropout,
    ).transpose(1, 2)
    own = _own_queries(layout, radius).to(qkv_T3ND.device)
    out = attended.flatten(0, 1).index_select(0, own)
    return _firsts_attend_to_all(out, q, k, v, layout, dropout)


def window_attention_reference(qkv_T3ND: Tensor, layout: Layout, radius: int) -> Tensor:
    """The definition of `window_attention`: a dense mask for each sequence."""
    outputs = []
    for qkv in layout.unpack(qkv_T3ND):
        q_NSD, k_NSD, v_NSD = qkv.permute(1, 2, 0, 3)
        at = torch.arange(len(qkv), device=qkv.device)
        seen = (at[:, None] - at[None]).abs() <= radius
        seen[0], seen[:, 0] = True, True
        scores_NSS = q_NSD @ k_NSD.transpose(-1, -2) / math.sqrt(qkv.shape[-1])
        weights = scores_NSS.masked_fill(~seen, -math.inf).softmax(-1)
        outputs.append((weights @ v_NSD).transpose(0, 1))
    return torch.cat(outputs)


def _rows(layout: Layout, radius: int) -> tuple[Tensor, Tensor]:
    """Packed places of [CLS] and the keys of every row, (R, 1 + K), and (R, Q, 1 + K) who sees."""
    queries, keys = 2 * radius, 4 * radius
    places, seen = [], []
    at_query, at_key = torch.arange(queries), torch.arange(keys) - radius
    near = (at_query[:, None] - at_key[None]).abs() <= radius
    start = 0
    for length in layout.lengths:
        first = torch.arange(0, length, queries)[:, None]
        key = first + at_key
        inside = (key > 0) & (key < length)  # [CLS] has a column of its own
        clamped = key.clamp(0, length - 1) + start
        places.append(torch.cat([torch.full_like(first, start), clamped], 1))
        who = near[None] & inside[:, None]
        column = torch.ones(len(first), queries, 1, dtype=torch.bool)
        seen.append(torch.cat([column, who], 2))
        start += length
    return torch.cat(places).to(layout.device), torch.cat(seen)


def _own_queries(layout: Layout, radius: int) -> Tensor:
    """(T,) which of all rows' queries each packed token is."""
    queries, start, found = 2 * radius, 0, []
    for length in layout.lengths:
        found.append(torch.arange(start, start + length))
        start += -(-length // queries) * queries
    return torch.cat(found)


def _firsts_attend_to_all(
    out: Tensor, q: Tensor, k: Tensor, v: Tensor, layout: Layout, dropout: float
) -> Tensor:
    firsts = layout.offsets[:-1]
    attended = []
    for first, keys, values in zip(q[firsts], layout.unpack(k), layout.unpack(v), strict=True):
        found = F.scaled_dot_product_attention(
            first[:, None], keys.transpose(0, 1), values.transpose(0, 1), dropout_p=dropout
        )
        attended.append(found[:, 0])
    return out.index_copy(0, firsts, torch.stack(attended))
