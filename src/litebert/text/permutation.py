"""A keyed pseudo-random permutation of 0..size-1, computed value by value.

A balanced Feistel network on the smallest even number of bits that holds the range, walked along
its cycle until it lands inside (Black and Rogaway 2002, "Ciphers with arbitrary finite domains").
It stands in for a shuffled table of the corpus, which would cost memory and start-up time.
"""

import numpy as np

ROUNDS = 6
_SPREAD = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xBF58476D1CE4E5B9)


def permute(values: np.ndarray, *, size: int, keys: np.ndarray) -> np.ndarray:
    """Shuffle numbers below `size` without a table: the image of each value (n,) as int64 (n,).

    `keys` (ROUNDS,) uint64 chooses the permutation. Every value must lie in 0..size-1.
    """
    assert len(keys) == ROUNDS
    half = np.uint64(max(1, ((size - 1).bit_length() + 1) // 2))
    images = _network(values.astype(np.uint64), half, keys)
    while len(outside := np.flatnonzero(images >= size)):
        images[outside] = _network(images[outside], half, keys)
    return images.astype(np.int64)


def _network(values: np.ndarray, half: np.uint64, keys: np.ndarray) -> np.ndarray:
    mask = (np.uint64(1) << half) - np.uint64(1)
    left, right = values >> half, values & mask
    for key in keys:
        mixed = (right + key) * _SPREAD
        mixed = (mixed ^ (mixed >> np.uint64(29))) * _MIX
        left, right = right, left ^ ((mixed >> np.uint64(32)) & mask)
    return (left << half) | right
