"""Scales: how large the models of a study are and how long they learn, laptop to cluster."""

from dataclasses import dataclass, field
from typing import Any, Literal

from litebert.config import PRESETS, ModelConfig
from litebert.train.finetune_recipe import FinetuneRecipe

ScaleName = Literal["cpu", "gpu", "paper"]


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The shape that a study varies, its recipe and its budget."""

    name: str
    shape: ModelConfig
    embedding_sizes: tuple[int, ...]
    """E of the `embedding` study, the largest the hidden size itself."""
    depths: tuple[int, ...]
    """Of the `depth` study, each going on from the one before."""
    widths: tuple[int, ...]
    """H of the `width` study."""
    vocab_size: int
    """Entries of a vocabulary that is trained on the user's text."""
    tokens: int
    """Budget of every cell."""
    minutes: float
    """Budget where minutes are what is equal."""
    recipe: dict[str, Any] = field(default_factory=dict)
    """Fields of the pretraining recipe, the same for all cells."""
    task_recipe: FinetuneRecipe = FinetuneRecipe()  # noqa: RUF009  (frozen)
    """Of the tasks that cells are fine-tuned on."""
    batches: int
    """Held-out batches of 4,096 tokens."""
    sweep: tuple[float, ...]
    """Factors on the learning rates that are tried for every variant; none when there is one."""
    seeds: int
    threads: int
    """Threads of a cell; a GPU instead where there is one."""


SCALES: dict[str, Scale] = {
    "cpu": Scale(
        name="cpu",
        shape=ModelConfig(
            hidden_size=128,
            heads=2,
            depth=6,
            inner_size=512,
            embedding_size=32,
            initializer_range=0.05,
        ),
        embedding_sizes=(8, 32, 64, 128),
        depths=(1, 2, 3, 6, 12),
        widths=(64, 128, 256, 512),
        vocab_size=8000,
        tokens=1_000_000,
        minutes=4,
        recipe={"batch_tokens": 2048, "max_length": 128, "mask_rate": 0.3},
        # such small models want ten times the rate of the base size
        task_recipe=FinetuneRecipe(lr=4e-4, steps=400, evaluations=2),
        batches=50,
        sweep=(0.5, 1.0, 2.0),
        seeds=3,
        threads=1,
    ),
    "gpu": Scale(
        name="gpu",
        shape=PRESETS["albert-base"],
        embedding_sizes=(64, 128, 256, 768),
        depths=(1, 3, 6, 12, 24),
        widths=(512, 1024, 2048, 4096),
        vocab_size=30_000,
        tokens=300_000_000,
        minutes=15,
        recipe={"batch_tokens": 32_768, "max_length": 128, "mask_rate": 0.15},
        batches=500,
        sweep=(0.5, 1.0, 2.0),
        seeds=3,
        threads=8,
    ),
    "paper": Scale(
        name="paper",
        shape=PRESETS["albert-base"],
        embedding_sizes=(64, 128, 256, 768),
        depths=(1, 3, 6, 12, 24, 48),
        widths=(1024, 2048, 4096, 6144),
        vocab_size=30_000,
        tokens=125_000 * 4096 * 512,
        minutes=34 * 60,
        recipe={
            "initialization": "paper",
            "batch_tokens": 32_768,
            "accumulation": 64,
            "max_length": 512,
            "max_predictions_per_sequence": 20,
            "optimizer": "lamb",
            "lr": 1.76e-3,
            "betas": (0.9, 0.999),
            "warmup": 0.025,
        },
        batches=1000,
        sweep=(1.0,),
        seeds=1,
        threads=8,
    ),
}
