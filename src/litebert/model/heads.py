"""The heads of pretraining: pooler, masked language model tied to the embeddings, sentence head.

Google's run_pretraining.py: the masked-LM head goes H to E, activation, LayerNorm, then times the
token embeddings plus a bias; the sentence head is one dense layer on the pooled [CLS], no dropout.
"""

# T or P = tokens or predicted positions, B = sequences, H = hidden, E = embedding, V = vocabulary

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.model.activation import activate
from litebert.model.layers import LayerNorm, Linear


class Pooler(nn.Module):
    """tanh of a dense layer on the first tokens of sequences: (B, H) in, (B, H) out."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)

    def forward(self, first_BH: Tensor) -> Tensor:
        return torch.tanh(self.dense(first_BH))


class MaskedLMHead(nn.Module):
    """Scores over the vocabulary through E; the last matrix is the token embedding itself."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.activation = config.activation
        self.dense = Linear(config.hidden_size, config.embedding_size)
        self.norm = LayerNorm(config.embedding_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))

    def transform(self, hidden_PH: Tensor) -> Tensor:
        """(P, H) to (P, E): what is multiplied with the token embeddings."""
        return self.norm(activate(self.dense(hidden_PH), self.activation))

    def forward(self, hidden_PH: Tensor, embedding_VE: Tensor) -> Tensor:
        """(P, H) to logits (P, V)."""
        x_PE = self.transform(hidden_PH)
        return F.linear(x_PE, embedding_VE.to(x_PE.dtype), self.bias.to(x_PE.dtype))
