"""Every pair of a batch once more, the other way round, under the other label.

What two texts say whatever their order cancels in the gradient of the sentence objective when both
orders are in one batch under the same masks; what is left is what tells the order (LOG.md).
"""

import numpy as np

from litebert.text.pretrain_batch import PretrainBatch


def add_other_orders(batch: PretrainBatch) -> PretrainBatch:
    """A batch twice as large: B sequences, then the same with A and B swapped and the label too.

    Masks and predictions stay with their tokens. A sequence without a pair comes again as it is.
    """
    total, count = int(batch.offsets[-1]), len(batch.offsets) - 1
    sequence = np.repeat(np.arange(count), np.diff(batch.offsets))
    paired = (batch.sentence_labels >= 0)[sequence]
    first = batch.positions == 0
    # [CLS], then what was B with its [SEP], then what was A with its own
    place = np.where(first, 0, np.where(paired & (batch.segments == 1), 1, 2))
    order = np.argsort(3 * sequence + place, kind="stable")
    moved_to = np.empty(total, np.int64)
    moved_to[order] = np.arange(total)
    swapped = (paired & ~first & (batch.segments == 0)).astype(np.int64)
    again = np.argsort(moved_to[batch.predicted_positions])
    labels = batch.sentence_labels
    return PretrainBatch(
        tokens=np.concatenate([batch.tokens, batch.tokens[order]]),
        positions=np.concatenate([batch.positions, batch.positions]),
        segments=np.concatenate([batch.segments, swapped[order]]),
        offsets=np.concatenate([batch.offsets, total + batch.offsets[1:]]),
        predicted_positions=np.concatenate(
            [batch.predicted_positions, total + moved_to[batch.predicted_positions][again]]
        ),
        predicted_tokens=np.concatenate([batch.predicted_tokens, batch.predicted_tokens[again]]),
        sentence_labels=np.concatenate([labels, np.where(labels >= 0, 1 - labels, labels)]),
    )
