"""Arithmetic of one forward pass, counted from the configuration alone.

A multiply-add is 2 operations; only matrix products count. Attention is bidirectional, so nothing
is halved. Utilisation is this number at the real tokens per second, over a stated peak.
"""

from litebert.config import ModelConfig


def forward_flops(config: ModelConfig, *, length: float, mask_rate: float) -> float:
    """Operations per real token of one forward pass of pretraining.

    `length` is the length of the sequences, for packed data E[length^2] / E[length]; `mask_rate`
    the share of tokens that the masked language model predicts, 0 for the encoder alone. Behind the
    attention of the last layer only predicted and first tokens count: no other is looked at.
    """
    hidden, embed, steps = config.hidden_size, config.embedding_size, len(config.plan)
    behind_attention = 2 * hidden * hidden + 4 * hidden * config.inner_size
    linear = steps * (6 * hidden * hidden + behind_attention)
    if mask_rate:
        linear -= max(0.0, 1 - mask_rate - 1 / length) * behind_attention
    attention = steps * 4 * length * hidden
    projection = 2 * embed * hidden if config.embedding_projection else 0
    masked_lm = mask_rate * (2 * hidden * embed + 2 * embed * config.vocab_size)
    sentence = (2 * hidden * hidden + 2 * hidden * 2) / length
    return linear + attention + projection + masked_lm + sentence


def training_flops(config: ModelConfig, *, length: float, mask_rate: float) -> float:
    """Operations per real token of one training step: backward counts as two forwards."""
    return 3 * forward_flops(config, length=length, mask_rate=mask_rate)
