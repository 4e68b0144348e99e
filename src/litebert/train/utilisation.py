"""Model-FLOPs utilisation: the arithmetic of a run over what matrix products reach on its device.

Only what the model needs counts, real tokens and no recomputation (model/flops.py). The ceiling is
measured, not taken from a data sheet, so that 100 % can be reached in principle.
"""

from dataclasses import replace

import numpy as np

from litebert.config import ModelConfig
from litebert.model.flops import training_flops


def attended_length(lengths: np.ndarray) -> float:
    """What a token attends to on average: E[length^2] / E[length] of packed sequences."""
    return float((lengths.astype(np.float64) ** 2).sum() / lengths.sum())


class Utilisation:
    """Arithmetic and utilisation of a run whose batches are like one of these `lengths`."""

    def __init__(
        self, config: ModelConfig, *, lengths: np.ndarray, mask_rate: float, ceiling: float
    ):
        """`ceiling` in operations per second, of all ranks together."""
        self.config, self.mask_rate, self.ceiling = config, mask_rate, ceiling
        self.length = attended_length(lengths)

    def flops_per_token(self, depth: int) -> float:
        """Operations per token of one training step at a depth."""
        config = replace(self.config, depth=depth)
        return training_flops(config, length=self.length, mask_rate=self.mask_rate)

    def at(self, tokens_per_second: float, *, depth: int) -> float:
        """Share of the ceiling that a speed is."""
        return tokens_per_second * self.flops_per_token(depth) / self.ceiling
