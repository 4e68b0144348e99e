"""The `speed` study: training throughput and forward latency of models, measured here.

Lan et al. 2020 (arXiv 1909.11942), Table 2: throughput of training relative to BERT-large.
"""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from litebert.config import PRESETS
from litebert.hardware import choose_dtype
from litebert.model.encoder import Model, build
from litebert.model.flops import training_flops
from litebert.text.pretrain_batch import PretrainBatch
from litebert.train.distributed import Ranks
from litebert.train.objective import to_device
from litebert.train.optimizer import build_optimizers
from litebert.train.recipe import PretrainRecipe
from litebert.train.start import keep_freed_memory
from litebert.train.step import TrainingStep

MASK_RATE = 0.15
# Table 2's column; the last is that of a 24-layer model for all we know (its row is Table 13's).
PAPER = {
    "bert-base": 4.7,
    "bert-large": 1.0,
    "albert-base": 5.6,
    "albert-large": 1.7,
    "albert-xlarge": 0.6,
    "albert-xxlarge": 0.3,
}
REFERENCE = "bert-large"


@dataclass(frozen=True, kw_only=True)
class Speed:
    """What was measured of one model."""

    name: str
    training: list[float]
    """Tokens a second of every timed step."""
    latency: list[float]
    """Seconds of every timed forward pass of one sequence."""
    flops_per_token: float
    """Of a training step."""

    @property
    def tokens_per_second(self) -> float:
        """Median over steps."""
        return statistics.median(self.training)

    @property
    def milliseconds(self) -> float:
        """Median of the forward passes."""
        return 1000 * statistics.median(self.latency)


def measure_speed(
    names: Sequence[str],
    *,
    sequences: int,
    length: int,
    runs: int,
    device: torch.device,
    on_model: Callable[[str], None] = lambda name: None,
) -> Iterator[Speed]:
    """Time training steps (AdamW) of batches of equal sequences, and forward passes of one.

    Models come one after another, so that the largest alone must fit.
    """
    keep_freed_memory()
    batch = _batch(sequences, length)
    for name in names:
        on_model(name)
        config = PRESETS[name]
        model = build(config).to(device).train()
        model.compute_dtype = choose_dtype("auto", device)
        yield Speed(
            name=name,
            training=_training(model, batch, runs, device),
            latency=_latency(model, _batch(1, length), runs, device),
            flops_per_token=training_flops(config, length=length, mask_rate=MASK_RATE),
        )
        del model
        gc.collect()


def relative(speeds: Sequence[Speed]) -> dict[str, float]:
    """Tokens a second over BERT-large's, or over the first model's where it was left out."""
    rates = {speed.name: speed.tokens_per_second for speed in speeds}
    reference = rates.get(REFERENCE, next(iter(rates.values())))
    return {name: rate / reference for name, rate in rates.items()}


def _training(model: Model, batch: PretrainBatch, runs: int, device: torch.device) -> list[float]:
    recipe = PretrainRecipe(data=Path("unused"), steps=1, optimizer="adamw")
    step = TrainingStep(model, build_optimizers(model, recipe), recipe, Ranks())
    seconds = _timed(lambda: step.take([(0, batch)], rate_factor=1.0), runs, device)
    return [len(batch.tokens) / each for each in seconds]


def _latency(model: Model, batch: PretrainBatch, runs: int, device: torch.device) -> list[float]:
    model.eval()
    packed, _ = to_device(batch, device)
    with torch.inference_mode():
        return _timed(lambda: model(packed), runs, device)


def _timed(work: Callable[[], object], runs: int, device: torch.device) -> list[float]:
    seconds = []
    for run in range(runs + 1):
        began = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        if run:  # the first is a warm-up
            seconds.append(time.perf_counter() - began)
    return seconds


def _batch(sequences: int, length: int) -> PretrainBatch:
    draw = np.random.default_rng(0)
    tokens = sequences * length
    asked = np.sort(draw.choice(tokens, round(MASK_RATE * tokens), replace=False))
    return PretrainBatch(
        tokens=draw.integers(5, 30_000, tokens),
        positions=np.tile(np.arange(length), sequences),
        segments=np.zeros(tokens, np.int64),
        offsets=np.arange(sequences + 1) * length,
        predicted_positions=asked,
        predicted_tokens=draw.integers(5, 30_000, len(asked)),
        sentence_labels=draw.integers(0, 2, sequences),
    )
