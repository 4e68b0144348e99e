"""Held-out evaluation of a pretrained model: fixed masks, the unigram baseline, an interval.

Masks come from a seed of their own and are drawn piece by piece, as BERT's are, whatever spans the
objective masks: evaluations of one corpus ask every model the same questions. The baseline predicts
every masked token by its frequency in the training text.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch

from litebert.model.encoder import Model
from litebert.text.batch_settings import BatchSettings
from litebert.text.batches import Batches
from litebert.text.shards import Shards
from litebert.train.distributed import Ranks
from litebert.train.objective import losses, to_device

# Enough to know the frequency of every piece that matters to a few parts in a thousand.
COUNTED_TOKENS = 50_000_000


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What a model scores on held-out text."""

    mlm_loss: float
    """Nats per masked token."""
    mlm_accuracy: float
    unigram_loss: float | None
    """Nats per masked token of predicting by frequency; None when no training text is at hand."""
    sentence_accuracy: float | None
    """None when the objective has no sentence part."""
    sentence_interval: tuple[float, float] | None
    """95 % Wilson interval of the sentence accuracy."""
    predictions: int
    sentences: int

    def asdict(self) -> dict:
        """The fields as JSON values."""
        return asdict(self)


def held_out_batches(shards: Shards, settings: BatchSettings) -> Batches:
    """The batches an evaluation asks about: corpus order, full length, 15 % of the pieces masked.

    Of `settings` only the objective and the lengths count, so runs that mask otherwise, at another
    rate or in longer spans, are compared on the same masks.
    """
    fixed = BatchSettings(
        objective=settings.objective,
        batch_tokens=max(4096, settings.max_length),
        max_length=settings.max_length,
        max_ngram=1,
        order="sequential",
        seed=20191012,
    )
    return Batches(shards, word_starts=np.ones(shards.vocab_size, bool), settings=fixed)


@torch.inference_mode()
def evaluate(
    model: Model,
    batches: Batches,
    *,
    limit: int,
    device: torch.device,
    unigram: np.ndarray | None = None,
    depth: int | None = None,
    ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    on_batch: Callable[[], None] = lambda: None,
) -> Evaluation:
    """Score up to `limit` batches, spread evenly over the corpus; `depth` as in `Model.forward`.

    `unigram` (V,) gives -log of each token's frequency in the training text. Ranks share the
    batches, and all get the result. `on_batch` is called after each.
    """
    was_training = model.training
    model.eval()
    count = min(limit, batches.num_batches)
    numbers = [index * batches.num_batches // count for index in range(count)]
    mlm = mlm_right = sentence_right = baseline = 0.0
    predictions = sentences = 0
    for number in numbers[ranks.rank :: ranks.size]:
        batch = batches.batch(number)
        packed, targets = to_device(batch, device)
        sums = losses(model, packed, targets, depth=depth)
        mlm += float(sums.mlm)
        mlm_right += float(sums.mlm_right)
        sentence_right += float(sums.sentence_right)
        predictions += len(batch.predicted_tokens)
        sentences += int((batch.sentence_labels >= 0).sum())
        if unigram is not None:
            baseline += float(unigram[batch.predicted_tokens].sum())
        on_batch()
    model.train(was_training)
    mlm, mlm_right, sentence_right, baseline, predictions, sentences = ranks.total(
        [mlm, mlm_right, sentence_right, baseline, predictions, sentences]
    )
    return Evaluation(
        mlm_loss=mlm / predictions,
        mlm_accuracy=mlm_right / predictions,
        unigram_loss=None if unigram is None else baseline / predictions,
        sentence_accuracy=sentence_right / sentences if sentences else None,
        sentence_interval=wilson_interval(int(sentence_right), int(sentences))
        if sentences
        else None,
        predictions=int(predictions),
        sentences=int(sentences),
    )


def wilson_interval(right: float, total: float, z: float = 1.959964) -> tuple[float, float]:
    """Wilson's 95 % interval of a proportion (Wilson 1927)."""
    share, z2 = right / total, z * z
    centre = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = z / (1 + z2 / total) * math.sqrt(share * (1 - share) / total + z2 / (4 * total**2))
    return centre - half, centre + half


def unigram_surprisal(shards: Shards) -> np.ndarray:
    """-log frequency of every vocabulary entry in the training text, add-one smoothed: (V,)."""
    counts = np.ones(shards.vocab_size)
    left = COUNTED_TOKENS
    for shard in shards.shards:
        counts += np.bincount(shard.tokens[:left], minlength=shards.vocab_size)
        left -= min(left, len(shard.tokens))
    return -np.log(counts / counts.sum())
