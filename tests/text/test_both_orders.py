"""Both orders of a pair in one batch: the same words under the same masks, the other way round."""

import numpy as np
import pytest
from synthetic import random_corpus

from litebert.errors import InputError
from litebert.text.batches import Batches, BatchSettings

CLS, SEP = 2, 3


def make(**settings) -> Batches:
    corpus = random_corpus(0)
    assert (corpus.special["cls"], corpus.special["sep"]) == (CLS, SEP)
    starts = np.random.default_rng(0).random(corpus.vocab_size) < 0.7
    return Batches(corpus, word_starts=starts, settings=BatchSettings(**settings))


def sequences(batch):
    """(text, label, what was asked where): A and B with their [SEP], of every sequence."""
    positions, tokens = batch.predicted_positions.tolist(), batch.predicted_tokens.tolist()
    asked = dict(zip(positions, tokens, strict=True))
    for number, label in enumerate(batch.sentence_labels.tolist()):
        start, stop = batch.offsets[number : number + 2].tolist()
        assert batch.positions[start:stop].tolist() == list(range(stop - start))
        assert batch.tokens[start] == CLS
        parts = ([], [])
        for at in range(start + 1, stop):
            parts[batch.segments[at]].append((int(batch.tokens[at]), asked.get(at)))
        # A before B
        assert (np.diff(batch.segments[start:stop]) >= 0).all()
        yield parts, label


@pytest.mark.parametrize("size", [512, 1024])
def test_second_half_is_the_first_the_other_way_round(size):
    batches = make(both_orders=True, batch_tokens=size, max_length=64)
    labels = []
    for k in range(30):
        batch = batches.batch(k)
        assert len(batch.tokens) == batch.offsets[-1] == size
        assert len(batch.predicted_positions) == batches.settings.predictions
        assert (np.diff(batch.predicted_positions) > 0).all()
        found = list(sequences(batch))
        half = len(found) // 2
        for ((a, b), label), (again, other) in zip(found[:half], found[half:], strict=True):
            if label < 0:
                assert (again, other) == ((a, b), label)
                continue
            assert b[-1][0] == SEP
            assert again == (b, a)
            assert other == 1 - label
            labels.append(label)
    assert len(labels) > 50
    assert 0.2 < np.mean(labels) < 0.8, "the first half should hold both labels"


def test_first_half_is_a_batch_of_half_the_size():
    whole = make(both_orders=True, batch_tokens=1024, max_length=64, seed=4)
    half = make(batch_tokens=512, max_length=64, seed=4)
    assert whole.num_batches == half.num_batches
    for k in (0, 7, 10**6):
        assert whole.batch(k).tokens[:512].tolist() == half.batch(k).tokens.tolist()


@pytest.mark.parametrize(
    "settings",
    [
        {"objective": "mlm"},
        {"sop_negatives": "google"},
        {"batch_tokens": 4095},
        {"batch_tokens": 200},
    ],
)
def test_what_cannot_be_is_refused(settings):
    with pytest.raises(InputError, match="both_orders needs"):
        make(both_orders=True, **settings)
