"""Pseudo-log-likelihood of texts under a masked language model: every piece masked in turn.

Salazar et al. 2020 (arXiv 1910.14659); with `within_word` the later pieces of the same word are
masked too, so that a word in many pieces does not look likely (Kauf & Ivanova 2023, 2305.10588).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn import functional as F

from litebert.model.encoder import Model
from litebert.model.packed import PackedBatch
from litebert.tasks.units import batches_by_length
from litebert.text.tokenizer import Tokenizer

# Tokens of a batch; about one in twelve is predicted, over the whole vocabulary.
BATCH_TOKENS = 8192


@torch.inference_mode()
def pseudo_log_likelihoods(
    model: Model,
    tokenizer: Tokenizer,
    texts: Sequence[str],
    *,
    within_word: bool = True,
    on_batch: Callable[[int], None] = lambda texts: None,
) -> np.ndarray:
    """Sums of log-probabilities in nats, (len(texts),); 0 for a text without pieces.

    `on_batch` is called with the number of texts that are done.
    """
    was_training = model.training
    model.eval()
    encoded = tokenizer.encode_batch(texts)
    starts_word = tokenizer.word_starts()
    sums = np.zeros(len(texts))
    # a text of n pieces is read n times, with [CLS] and [SEP]
    sizes = [len(ids) * (len(ids) + 2) for ids in encoded]
    for batch in batches_by_length(sizes, limit=BATCH_TOKENS):
        chosen = [encoded[number] for number in batch]
        sums[batch] = _score(model, tokenizer, chosen, starts_word, within_word)
        on_batch(len(batch))
    model.train(was_training)
    return sums


def _score(
    model: Model,
    tokenizer: Tokenizer,
    encoded: Sequence[list[int]],
    starts_word: np.ndarray,
    within_word: bool,
) -> np.ndarray:
    """One copy of each text for each of its pieces, all in one packed batch."""
    rows, asked, answers, owners, lengths = [], [], [], [], []
    at = 0
    for owner, ids in enumerate(encoded):
        if not ids:
            continue
        count, size = len(ids), len(ids) + 2
        copies = np.tile(np.array([tokenizer.cls_id, *ids, tokenizer.sep_id]), (count, 1))
        hidden = np.eye(count, dtype=bool)
        if within_word:
            words = np.cumsum(starts_word[ids])
            hidden |= np.triu(words[:, None] == words[None, :])
        copies[:, 1:-1][hidden] = tokenizer.mask_id
        rows.append(copies.ravel())
        asked.append(at + np.arange(count) * (size + 1) + 1)
        answers.append(ids)
        owners += [owner] * count
        lengths += [size] * count
        at += count * size
    sums = np.zeros(len(encoded))
    if not rows:
        return sums
    sizes = np.array(lengths)
    tokens = torch.from_numpy(np.concatenate(rows))
    positions = np.arange(at) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    packed = PackedBatch(
        tokens=tokens,
        positions=torch.from_numpy(positions),
        segments=torch.zeros(at, dtype=torch.long),
        lengths=tuple(lengths),
    )
    device = model.embeddings.tokens.weight.device
    places = torch.from_numpy(np.concatenate(asked)).to(device)
    hidden_PH = model(packed.to(device), wanted=places).hidden
    wanted = torch.from_numpy(np.concatenate([np.array(ids) for ids in answers])).to(device)
    losses = F.cross_entropy(model.mlm_logits(hidden_PH).float(), wanted, reduction="none")
    np.subtract.at(sums, owners, losses.double().cpu().numpy())
    return sums
