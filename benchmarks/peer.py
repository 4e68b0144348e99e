"""The peer of the training benchmarks: transformers' AlbertForPreTraining, as its docs use it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from litebert import ModelConfig


def peer_model(config: ModelConfig) -> Any:
    """Fresh weights of the same shape, dropout 0, in training mode."""
    from transformers import AlbertConfig, AlbertForPreTraining

    return AlbertForPreTraining(
        AlbertConfig(
            vocab_size=config.vocab_size,
            embedding_size=config.embedding_size,
            hidden_size=config.hidden_size,
            num_hidden_layers=config.depth,
            num_attention_heads=config.heads,
            intermediate_size=config.inner_size,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            classifier_dropout_prob=0.0,
        )
    ).train()


def peer_inputs(
    *,
    tokens: Tensor,
    segments: Tensor,
    lengths: Sequence[int],
    asked: Tensor,
    answers: Tensor,
    sentences: Tensor,
    pad: int,
    width: int,
) -> dict[str, Tensor]:
    """Packed sequences as padded rows (B, width), with labels at every position.

    `asked` (P,) are packed positions, `answers` (P,) the tokens there; `sentences` (B,) has -1
    where there is no pair.
    """
    real = torch.arange(width) < torch.tensor(lengths)[:, None]
    labels = torch.full_like(tokens, -100)
    labels[asked] = answers

    def rows(values: Tensor, fill: int) -> Tensor:
        return torch.full(real.shape, fill).masked_scatter(real, values)

    return {
        "input_ids": rows(tokens, pad),
        "token_type_ids": rows(segments, 0),
        "attention_mask": real.long(),
        "labels": rows(labels, -100),
        "sentence_order_label": sentences.where(sentences >= 0, torch.tensor(-100)),
    }
