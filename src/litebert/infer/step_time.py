"""How long one application of the block takes, by tokens: what a scheduler has to know."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from litebert.model.encoder import Model
from litebert.tasks.units import TokenSequence, packed_of


@dataclass(frozen=True)
class StepTime:
    """Seconds of a step: a fixed part and one by token, as measured."""

    fixed: float
    by_token: float

    def knee(self, efficiency: float = 0.8) -> int:
        """Tokens from which a step spends so large a share of its time on them."""
        return max(1, round(efficiency / (1 - efficiency) * self.fixed / self.by_token))


@torch.inference_mode()
def measure_step_time(
    model: Model, *, sizes: Sequence[int] = (1, 8, 16, 32, 64, 128, 256), repeats: int = 7
) -> StepTime:
    """Measure a model's layer on single sequences of some sizes: medians, and a line through them.

    The line minimises relative errors, so that short steps count as much as long ones.
    """
    device = model.embeddings.tokens.weight.device
    sizes = [size for size in sizes if size <= model.config.max_positions]
    seconds = []
    for size in sizes:
        packed = packed_of([TokenSequence([0] * size, size)]).to(device)
        hidden = torch.zeros(
            size, model.config.hidden_size, dtype=model.compute_dtype, device=device
        )
        taken = []
        for _ in range(repeats + 1):
            start = time.perf_counter()
            for step in model.layers()[0]:
                out = model.apply_step(hidden, packed, step)
            if device.type == "cuda":
                torch.cuda.synchronize()
            taken.append(time.perf_counter() - start)
        del out
        # the first call prepares kernels
        seconds.append(float(np.median(taken[1:])))
    rows = np.stack([np.ones(len(sizes)), np.array(sizes)], 1) / np.array(seconds)[:, None]
    (fixed, by_token), *_ = np.linalg.lstsq(rows, np.ones(len(sizes)))
    smallest = 1e-9
    return StepTime(max(float(fixed), smallest), max(float(by_token), smallest))
