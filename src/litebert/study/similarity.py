"""How far every application of a block moves its input: distance and cosine by depth.

Lan et al. 2020 (arXiv 1909.11942), Figure 1, on the tokens of held-out text.
"""

from dataclasses import dataclass

import torch
from torch.nn import functional as F

from litebert.model.encoder import Model
from litebert.model.packed import PackedBatch


@dataclass(frozen=True)
class Similarity:
    """By layer, means over tokens."""

    distance: list[float]
    """L2 distance of input and output, over the length of the input."""
    cosine: list[float]


@torch.inference_mode()
def similarity(model: Model, packed: PackedBatch) -> Similarity:
    """Input against output of every layer."""
    was_training = model.training
    model.eval()
    x = model.embeddings(packed, torch.float32)
    distance, cosine = [], []
    for attention, feed_forward in model.plan.steps:
        y = model.feed_forwards[feed_forward](model.attentions[attention](x, packed))
        distance.append(((y - x).norm(dim=-1) / x.norm(dim=-1)).mean().item())
        cosine.append(F.cosine_similarity(x, y, dim=-1).mean().item())
        x = y
    model.train(was_training)
    return Similarity(distance, cosine)
