"""The pretraining objective of one batch: masked LM plus the sentence objective, as plain sums.

Google's run_pretraining.py adds the two means with equal weights. Here sums leave this function and
the caller divides by the counts of the global batch, so accumulation cannot change the result.
"""

# P = predicted positions, B = sequences

from dataclasses import dataclass

import torch
from torch import Tensor

from litebert.model.encoder import Model
from litebert.model.loss import masked_lm_loss, sentence_loss
from litebert.model.packed import PackedBatch
from litebert.text.pretrain_batch import PretrainBatch


@dataclass(frozen=True)
class Targets:
    """What one batch is asked."""

    positions: Tensor
    """(P,) packed positions to predict."""
    tokens: Tensor
    """(P,) the tokens there."""
    sentences: Tensor
    """(B,) 0 in order, 1 swapped, -1 not asked."""


@dataclass(frozen=True)
class Losses:
    """Sums over one batch; scalars that stay on the device."""

    mlm: Tensor
    mlm_right: Tensor
    sentence: Tensor
    sentence_right: Tensor


def to_device(batch: PretrainBatch, device: torch.device) -> tuple[PackedBatch, Targets]:
    """A batch of the text side as the input of a model and its targets."""
    packed = PackedBatch(
        tokens=torch.from_numpy(batch.tokens),
        positions=torch.from_numpy(batch.positions),
        segments=torch.from_numpy(batch.segments),
        lengths=tuple((batch.offsets[1:] - batch.offsets[:-1]).tolist()),
    )
    targets = Targets(
        positions=torch.from_numpy(batch.predicted_positions).to(device),
        tokens=torch.from_numpy(batch.predicted_tokens).to(device),
        sentences=torch.from_numpy(batch.sentence_labels).to(device),
    )
    return packed.to(device), targets


def losses(
    model: Model, packed: PackedBatch, targets: Targets, *, depth: int | None = None
) -> Losses:
    """Sums of masked-LM and sentence cross-entropies and of right answers, at a depth."""
    out = model(packed, depth, wanted=targets.positions)
    head = model.mlm_head
    mlm, mlm_right = masked_lm_loss(
        head.transform(out.hidden),
        model.embeddings.tokens.weight,
        head.bias,
        targets.tokens,
    )
    sentence, right = sentence_loss(model.sentence_logits(out.pooled), targets.sentences)
    return Losses(mlm, mlm_right, sentence, right)
