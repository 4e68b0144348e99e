"""The learning rate is that of Google's optimization.py; other batches follow the square root."""

import pytest

from litebert.train.schedule import rate_advice, rate_factor, scaled_rate


def google_factor(step: int, *, steps: int, warmup_steps: int) -> float:
    """Polynomial decay of power 1, replaced during warm-up: optimization.py."""
    return step / warmup_steps if step < warmup_steps else (steps - step) / steps


@pytest.mark.parametrize(("steps", "warmup_steps"), [(125_000, 3125), (100, 10), (64, 16)])
def test_every_step_is_googles(steps, warmup_steps):
    for step in range(0, steps + 1, max(1, steps // 1000)):
        expected = google_factor(step, steps=steps, warmup_steps=warmup_steps)
        assert rate_factor(step / steps, warmup_steps / steps) == pytest.approx(expected, abs=1e-12)


def test_ends_and_drop_of_the_published_run():
    assert rate_factor(0.0, 0.025) == 0.0
    assert rate_factor(0.025 - 1e-9, 0.025) == pytest.approx(1.0)
    assert rate_factor(0.025, 0.025) == pytest.approx(0.975)
    assert rate_factor(1.0, 0.025) == 0.0
    assert rate_factor(1.2, 0.025) == 0.0


def test_no_warmup_begins_at_the_peak():
    assert rate_factor(0.0, 0.0) == 1.0


@pytest.mark.parametrize(("sequences", "rate"), [(4096, 0.00176), (1024, 0.00088), (512, 0.000622)])
def test_rate_goes_with_the_root_of_the_batch(sequences, rate):
    assert scaled_rate(0.00176, sequences=sequences) == pytest.approx(rate, rel=1e-3)


def test_advice_is_silent_where_the_published_rate_holds():
    assert rate_advice(0.00176, sequences=4096) is None
    assert "= 0.000622" in (rate_advice(0.00176, sequences=512) or "")
