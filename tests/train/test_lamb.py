"""LAMB follows Google's lamb_optimizer.py, step by step, against a transcription in numpy."""

import numpy as np
import pytest
import torch

from litebert.train.lamb import Lamb

STEPS = 60


def google_step(weight, gradient, moments, *, rate, excluded):
    """One update of one variable in float64: lamb_optimizer.py of google-research/albert."""
    m = 0.9 * moments[0] + 0.1 * gradient
    v = 0.999 * moments[1] + 0.001 * gradient**2
    update = m / (np.sqrt(v) + 1e-6)
    ratio = 1.0
    if not excluded:
        update = update + 0.01 * weight
        weight_norm, update_norm = np.sqrt((weight**2).sum()), np.sqrt((update**2).sum())
        if weight_norm > 0 and update_norm > 0:
            ratio = weight_norm / update_norm
    return weight - rate * ratio * update, (m, v)


def compare(start: np.ndarray, gradients, *, excluded: bool) -> None:
    """Torch must stay with numpy at every step; `gradients(step)` is an array."""
    mine = torch.tensor(start.copy(), requires_grad=True)
    group = {"params": [mine]} | ({"adapt": False} if excluded else {})
    optimizer = Lamb([group], lr=1.0)
    theirs, moments = start.copy(), (np.zeros_like(start), np.zeros_like(start))
    for step in range(STEPS):
        rate = 0.02 * (step + 1) / STEPS
        mine.grad = torch.tensor(gradients(step))
        optimizer.param_groups[0]["lr"] = rate
        optimizer.step()
        theirs, moments = google_step(
            theirs, gradients(step), moments, rate=rate, excluded=excluded
        )
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-10, atol=1e-14)
    assert not np.allclose(theirs, start)


@pytest.mark.parametrize("excluded", [False, True], ids=["matrix", "bias"])
def test_every_step_is_googles(excluded):
    draw = np.random.default_rng(0)
    start = draw.normal(size=(7, 5)) * 0.02
    noise = draw.normal(size=(STEPS, 7, 5)) * np.logspace(-6, 1, STEPS)[:, None, None]
    compare(start, lambda step: noise[step], excluded=excluded)


def test_zero_weight_has_ratio_1():
    draw = np.random.default_rng(1)
    noise = draw.normal(size=(STEPS, 4, 3))
    compare(np.zeros((4, 3)), lambda step: noise[step], excluded=False)


def test_zero_update_changes_nothing():
    weight = torch.zeros(4, 3, requires_grad=True)
    weight.grad = torch.zeros(4, 3)
    Lamb([{"params": [weight]}], lr=1.0).step()
    assert torch.equal(weight.detach(), torch.zeros(4, 3))


def test_shared_matrix_has_one_ratio_from_the_summed_gradient():
    draw = np.random.default_rng(2)
    start, x, y = draw.normal(size=(6, 6)), draw.normal(size=(2, 6)), draw.normal(size=(2, 6))
    mine = torch.tensor(start.copy(), requires_grad=True)
    optimizer = Lamb([{"params": [mine]}], lr=0.01)
    theirs, moments = start.copy(), (np.zeros_like(start), np.zeros_like(start))
    for _ in range(STEPS):
        optimizer.zero_grad()
        for use in range(2):
            (mine @ torch.tensor(x[use]) - torch.tensor(y[use])).square().sum().backward()
        optimizer.step()
        summed = sum(2 * np.outer(theirs @ x[use] - y[use], x[use]) for use in range(2))
        theirs, moments = google_step(theirs, summed, moments, rate=0.01, excluded=False)
        np.testing.assert_allclose(mine.detach().numpy(), theirs, rtol=1e-8, atol=1e-12)


def test_first_step_has_no_bias_correction():
    weight = torch.full((3,), 5.0, requires_grad=True)
    weight.grad = torch.full((3,), 2.0)
    Lamb([{"params": [weight], "adapt": False}], lr=1.0).step()
    # 0.1 g / sqrt(0.001 g^2) = 3.16, where bias correction would give 1
    assert weight.detach().tolist() == pytest.approx([5 - 0.1 / 0.001**0.5] * 3, rel=1e-4)
