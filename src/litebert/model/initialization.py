"""A start of training that already knows what every run would learn first.

A fresh encoder spends its first minutes on the frequencies of tokens, and then many more as a bag
of words until its attention finds out that neighbours matter. Both can be had at the start, and the
result is a stock model all the same: mimetic initialization (Trockman and Kolter 2023,
arXiv 2305.09828) for queries and keys, sinusoids (Vaswani et al. 2017) as the first values of the
learned positions, log-frequencies as the output bias. What each brings is in LOG.md.
"""

# H = hidden, E = embedding, N = heads, D = head size, V = vocabulary

import math

import torch
from torch import Tensor

from litebert.model.encoder import Model

# Score of a token with itself before the softmax, where its neighbours get about half of it.
SELF_SCORE = 4.0
# Longest wave of the positions over 2 pi, in tokens: most of them tell neighbours apart.
LONGEST_WAVE = 50.0
# Positions count so much more than tokens in the first sums of the two.
POSITIONS_TO_TOKENS = 2.25
# Deviation of the first logits around the bias.
LOGIT_DEVIATION = 0.5


@torch.no_grad()
def begin_informed(model: Model, surprisal: Tensor) -> None:
    """Change the fresh weights of a model so that it begins with frequencies and neighbourhood.

    `surprisal` (V,) are nats of the tokens' frequencies. Tokens get the deviation that gives logits
    theirs, positions are sinusoids and larger; the projection keeps a deviation of 1; keys equal
    queries, so long that a token scores SELF_SCORE with itself.
    """
    config, embeddings = model.config, model.embeddings
    model.mlm_head.bias.copy_(-surprisal)
    deviation = LOGIT_DEVIATION * config.embedding_size**-0.5
    _rescale(embeddings.tokens.weight, deviation)
    waves = _sinusoids(*embeddings.positions.weight.shape)
    embeddings.positions.weight.copy_(POSITIONS_TO_TOKENS * deviation * waves)
    if embeddings.projection is not None:
        _rescale(embeddings.projection.weight, config.embedding_size**-0.5)
    hidden = config.hidden_size
    # a query of deviation s scores sqrt(D) s^2 with itself, and s is sqrt(H) that of the weights
    of_query = math.sqrt(SELF_SCORE * config.head_size**-0.5 / hidden)
    for attention in model.attentions:
        queries, keys, _ = attention.qkv.weight.split(hidden)
        _rescale(queries, of_query)
        keys.copy_(queries)


def _rescale(weight: Tensor, deviation: float) -> None:
    weight.mul_(deviation / weight.std())


def _sinusoids(rows: int, width: int) -> Tensor:
    """Rows of sines and cosines with a mean square of 1, wavelengths from 2 pi up."""
    half = (width + 1) // 2
    rates = LONGEST_WAVE ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(rows, dtype=torch.float64)[:, None] * rates
    return (math.sqrt(2) * torch.cat([angles.sin(), angles.cos()], 1)[:, :width]).float()
