"""Utilisation counts real work: by hand for one shape, and never above what products reach."""

import numpy as np
import pytest
import torch

from litebert import PRESETS
from litebert.hardware import product_ceiling
from litebert.train.events import read_events
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from litebert.train.utilisation import Utilisation, attended_length
from tiny_runs import tiny_recipe


def test_attended_length_is_the_mean_over_tokens():
    lengths = np.array([1, 7, 128, 512])
    of_each_token = np.repeat(lengths, lengths)
    assert attended_length(lengths) == pytest.approx(of_each_token.mean())


def test_albert_base_by_the_reference():
    """0.528 GFLOP a token at 128 tokens and 15 %, less what the last layer leaves out."""
    left_out = 3 * (1 - 0.15 - 1 / 128) * (2 * 768**2 + 4 * 768 * 3072)
    found = Utilisation(
        PRESETS["albert-base"], lengths=np.array([128] * 8), mask_rate=0.15, ceiling=790e12
    )
    assert found.flops_per_token(12) == pytest.approx(0.528e9 - left_out, rel=0.005)
    expected = 748e3 * (0.528e9 - left_out) / 790e12
    assert found.at(748e3, depth=12) == pytest.approx(expected, rel=0.005)
    assert found.flops_per_token(6) < 0.55 * found.flops_per_token(12)


def test_ceiling_is_above_what_a_model_reaches(corpus, tmp_path):
    device = torch.device("cpu")
    assert product_ceiling(device, torch.float32) > 1e9
    settings = RunSettings(output=tmp_path, workers=0, tensorboard=False, log_every=0.0)
    Pretraining(tiny_recipe(corpus, steps=5), settings).run()
    start, *events = read_events(tmp_path / "events.jsonl")
    assert start["ceiling"] > 1e9
    shares = [e["utilisation"] for e in events if e["event"] == "step"]
    assert len(shares) == 5
    assert all(0 < share < 1 for share in shares)
