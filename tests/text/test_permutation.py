"""The keyed permutation is one, and its keys matter."""

import numpy as np
import pytest

from litebert.text.permutation import ROUNDS, permute


def keys(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**64, ROUNDS, dtype=np.uint64)


@pytest.mark.parametrize("size", [1, 2, 3, 5, 16, 17, 1000, 65_537])
def test_every_value_has_one_image_inside_the_range(size):
    images = permute(np.arange(size), size=size, keys=keys(0))
    assert sorted(images.tolist()) == list(range(size))


def test_values_one_by_one_are_values_together():
    together = permute(np.arange(100), size=1000, keys=keys(1))
    alone = [permute(np.array([v]), size=1000, keys=keys(1))[0] for v in range(100)]
    assert together.tolist() == alone


def test_images_are_spread_as_in_a_random_order():
    size, draws = 1000, 200
    orders = np.array([permute(np.arange(size), size=size, keys=keys(s)) for s in range(draws)])
    # Over keys, each value's image is uniform: its mean is (n-1)/2 within the error of 200 draws.
    error = size / np.sqrt(12 * draws)
    assert np.abs(orders.mean(0) - (size - 1) / 2).max() < 5 * error
    # Neighbours part: the images of v and v+1 are as far apart as two random ones, n/3.
    apart = np.abs(np.diff(orders, axis=1)).mean()
    assert apart == pytest.approx(size / 3, rel=0.02)


def test_a_range_beyond_32_bits_stays_inside():
    size = 10**12 + 7
    values = np.arange(size - 1000, size)
    images = permute(values, size=size, keys=keys(2))
    assert len(set(images.tolist())) == 1000
    assert ((images >= 0) & (images < size)).all()
