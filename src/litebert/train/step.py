"""One optimizer step over the batches of all ranks: backward, sum, norm, update, or nothing at all.

Losses and gradients are divided by the counts of the whole step, so neither accumulation nor the
number of ranks changes them. A step whose loss or gradient is not finite updates no weight on any
rank: all look at the same sums.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.optim import Optimizer

from litebert.model.encoder import Model
from litebert.text.pretrain_batch import PretrainBatch
from litebert.train.distributed import Ranks
from litebert.train.objective import losses, to_device
from litebert.train.optimizer import update
from litebert.train.recipe import PretrainRecipe


@dataclass(frozen=True, kw_only=True)
class StepResult:
    """What a step saw, over all ranks."""

    mlm: float
    """Sum of masked-LM losses, nats."""
    mlm_right: float
    sentence: float
    """Sum of sentence losses, nats."""
    sentence_right: float
    predictions: int
    sentences: int
    gradient_norm: float
    """Before clipping."""

    @property
    def finite(self) -> bool:
        """Whether the step could be taken, and was."""
        return all(map(math.isfinite, (self.mlm, self.sentence, self.gradient_norm)))


class TrainingStep:
    """Takes optimizer steps of one model; holds no state but the model's and the optimizers'."""

    def __init__(
        self, model: Model, optimizers: list[Optimizer], recipe: PretrainRecipe, ranks: Ranks
    ):
        self.model, self.optimizers, self.recipe, self.ranks = model, optimizers, recipe, ranks
        self.parameters = list(model.parameters())

    def take(
        self,
        batches: Iterable[tuple[int, PretrainBatch]],
        *,
        rate_factor: float,
        depth: int | None = None,
    ) -> StepResult:
        """One step over this rank's (number, batch) pairs, at a share of the peak rates.

        Nothing is updated when the result is not `finite`.
        """
        batches = list(batches)
        device = self.parameters[0].device
        predictions = sum(len(batch.predicted_tokens) for _, batch in batches)
        sentences = sum(int((batch.sentence_labels >= 0).sum()) for _, batch in batches)
        predictions, sentences = map(int, self.ranks.total([predictions, sentences]))
        sums = torch.zeros(4, device=device)
        for number, batch in batches:
            # dropout: a function of the batch, exact after a resume and on any rank
            torch.manual_seed((self.recipe.seed * 1_000_003 + number) % 2**63)
            part = losses(self.model, *to_device(batch, device), depth=depth)
            loss = part.mlm / predictions
            if sentences:
                loss = loss + self.recipe.sentence_weight * part.sentence / sentences
            loss.backward()
            found = (part.mlm, part.mlm_right, part.sentence, part.sentence_right)
            sums += torch.stack([value.detach().float() for value in found])
        # all ranks reach the same weights: whether a step asks about sentences is known to all
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        self.ranks.add_up([*gradients, sums])
        norm = nn.utils.get_total_norm(gradients)
        # the one wait for the device in a step
        mlm, mlm_right, sentence, sentence_right, gradient_norm = torch.cat(
            [sums, norm.reshape(1)]
        ).tolist()
        result = StepResult(
            mlm=mlm,
            mlm_right=mlm_right,
            sentence=sentence,
            sentence_right=sentence_right,
            predictions=predictions,
            sentences=sentences,
            gradient_norm=gradient_norm,
        )
        if result.finite:
            clip = self.recipe.clip
            update(
                self.optimizers,
                self.parameters,
                norm=gradient_norm,
                clip=clip,
                rate_factor=rate_factor,
            )
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
        return result
