"""Model-FLOPs utilisation: the arithmetic of a run over what matrix products reach on its device.

Only what the model needs counts, real tokens and no recomputation (model/flops.py). The ceiling is
measured, not taken from a data sheet, so that 100 % can be reached in principle.
"""

import time
from dataclasses import replace

import numpy as np
import torch

from litebert.config import ModelConfig
from litebert.model.flops import training_flops

# Sides of square products: the fastest is the ceiling. Small ones stay in a CPU's caches.
_CPU_SIDES, _GPU_SIDES = (512, 1024, 2048), (4096, 8192)
_SECONDS_A_SIDE = 0.1


def product_rate(device: torch.device, dtype: torch.dtype, *, side: int) -> float:
    """Operations per second of a square matrix product, the best of a tenth of a second."""
    a = torch.ones(side, side, dtype=dtype, device=device)
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < _SECONDS_A_SIDE:
        start = time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def product_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second that large matrix products reach here, with the threads of the run."""
    sides = _GPU_SIDES if device.type == "cuda" else _CPU_SIDES
    product_rate(device, dtype, side=sides[0])  # wakes threads and clocks
    return max(product_rate(device, dtype, side=side) for side in sides)


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
