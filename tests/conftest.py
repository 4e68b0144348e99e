"""Fixtures that tests of several folders use."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from litebert import Model, ModelConfig, build
from tiny_runs import make_corpus

torch.set_num_threads(1)  # models of tests are too small for more, and tests run beside each other


@pytest.fixture
def random_model() -> Callable[..., Model]:
    """Makes a model in which no weight is zero or one, so that a swapped one shows."""

    def make(config: ModelConfig, *, seed: int = 0, spread: float = 0.1) -> Model:
        model = build(config, seed=seed).eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=spread)
        return model

    return make


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> Path:
    """A directory with shards train/ and valid/ and a shape.json, for the runs of runs.py."""
    return make_corpus(tmp_path_factory.mktemp("corpus"))
