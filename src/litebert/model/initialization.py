"""A start of training that already knows what every run would learn first.

A fresh encoder spends its first minutes on the frequencies of tokens, and then many more as a bag
of words until its heads find the words beside each token. Both can be had at the start, and the
result is a stock model all the same. Sources: log-frequencies as output bias are old practice;
sinusoids as the first values of the learned positions, Vaswani et al. 2017; keys made from queries,
mimetic initialization, Trockman and Kolter 2023 (arXiv 2305.09828). That keys are turned by so many
positions, a head for the word before and one for the word after, is ours; LOG.md has what each
brings.
"""

# H = hidden, E = embedding, N = heads, D = head size, V = vocabulary

import math

import torch
from torch import Tensor

from litebert.model.block import Attention
from litebert.model.encoder import Model

# Where heads begin to look, in turn: tokens to the right of their own.
OFFSETS = (-1, 1, -2, 2)
# Score of a query with the key it looks for, before the softmax.
SCORE = 6.0
# Waves of the positions: radians from a token to the next, fastest and slowest. Fast ones tell
# neighbours apart, slow ones the beginning of a text from its end.
FASTEST, SLOWEST = 3.0, 0.02
# Positions count so much more than tokens in the first sums of the two.
POSITIONS_TO_TOKENS = 2.25
# Deviation of the first logits around the bias.
LOGIT_DEVIATION = 0.5


@torch.no_grad()
def begin_informed(model: Model, surprisal: Tensor) -> None:
    """Change the fresh weights of a model so that it begins with frequencies and neighbours.

    `surprisal` (V,) are nats of the tokens' frequencies. Tokens get the deviation that gives logits
    theirs, positions are sinusoids and larger; the projection keeps a deviation of 1; every head's
    keys are its queries turned by its offset, so long that what it looks for scores SCORE.
    """
    config, embeddings = model.config, model.embeddings
    model.mlm_head.bias.copy_(-surprisal)
    hidden, width = config.hidden_size, config.embedding_size
    deviation = LOGIT_DEVIATION * width**-0.5
    _rescale(embeddings.tokens.weight, deviation)
    waves = _sinusoids(*embeddings.positions.weight.shape)
    embeddings.positions.weight.copy_(POSITIONS_TO_TOKENS * deviation * waves)
    turns = [_turn(width, offset) for offset in OFFSETS]
    if embeddings.projection is not None:
        _rescale(embeddings.projection.weight, width**-0.5)
        into = embeddings.projection.weight.double()  # (H, E)
        # a square matrix of random numbers is nearly singular: its smallest directions are left out
        back = torch.linalg.pinv(into, rtol=0.1)
        turns = [into @ turn @ back for turn in turns]
    # a query of deviation s scores sqrt(D) s^2 with itself, and s is sqrt(H) that of the weights
    of_query = math.sqrt(SCORE * config.head_size**-0.5 / hidden)
    for attention in model.attentions:
        assert isinstance(attention, Attention)
        queries, keys, _ = attention.qkv.weight.split(hidden)
        _rescale(queries, of_query)
        heads = zip(queries.split(config.head_size), keys.split(config.head_size), strict=True)
        for head, (query, key) in enumerate(heads):
            key.copy_(query.double() @ turns[head % len(turns)])
            _rescale(key, float(query.std()))


def _rescale(weight: Tensor, deviation: float) -> None:
    weight.mul_(deviation / weight.std())


def _sinusoids(rows: int, width: int) -> Tensor:
    """Rows of sines and then cosines with a mean square of 1."""
    angles = torch.arange(rows, dtype=torch.float64)[:, None] * _rates(width)
    return (math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], 1)[:, :width]).float()


def _turn(width: int, offset: int) -> Tensor:
    """(E, E): makes the sinusoids of a position those of the one `offset` before it.

    A query at i then finds the key at i + offset.
    """
    rates = _rates(width)
    half, pairs = len(rates), torch.arange(len(rates))
    turn = torch.zeros(2 * half, 2 * half, dtype=torch.float64)
    turn[pairs, pairs] = turn[half + pairs, half + pairs] = (offset * rates).cos()
    turn[half + pairs, pairs] = (offset * rates).sin()
    turn[pairs, half + pairs] = -(offset * rates).sin()
    return turn[:width, :width]


def _rates(width: int) -> Tensor:
    """Radians per token of every sine with its cosine."""
    half = (width + 1) // 2
    return FASTEST * (SLOWEST / FASTEST) ** (torch.arange(half, dtype=torch.float64) / half)
