"""One packed batch of pretraining with its targets, as arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, kw_only=True)
class PretrainBatch:
    """One packed batch with its targets; every array int64. T, B, P as in docs/design.md."""

    tokens: np.ndarray
    """(T,) inputs after masking."""
    positions: np.ndarray
    """(T,) position within the sequence."""
    segments: np.ndarray
    """(T,) 0 for [CLS] A [SEP], 1 for B [SEP]."""
    offsets: np.ndarray
    """(B+1,) where sequences begin, and T."""
    predicted_positions: np.ndarray
    """(P,) indices into tokens, ascending."""
    predicted_tokens: np.ndarray
    """(P,) the original tokens there."""
    sentence_labels: np.ndarray
    """(B,) 0 in order / next, 1 swapped / random, -1 no pair."""
