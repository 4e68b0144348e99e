"""Batches by number: pure, exact in size, complete over an epoch, the same for any workers."""

import hashlib
from dataclasses import fields
from multiprocessing.reduction import ForkingPickler

import numpy as np
import pytest
from synthetic import FIRST_ID, corpus_of, random_corpus

from litebert.errors import InputError
from litebert.text.batches import Batches, BatchSettings, stream
from litebert.text.pretrain_batch import PretrainBatch

OBJECTIVES = ["mlm", "mlm+sop", "mlm+nsp"]


def make(corpus, **settings) -> Batches:
    starts = np.random.default_rng(0).random(corpus.vocab_size) < 0.7
    return Batches(corpus, word_starts=starts, settings=BatchSettings(**settings))


def restored(batch: PretrainBatch) -> np.ndarray:
    tokens = batch.tokens.copy()
    tokens[batch.predicted_positions] = batch.predicted_tokens
    return tokens


def digest(batch: PretrainBatch) -> str:
    arrays = b"".join(getattr(batch, f.name).tobytes() for f in fields(batch))
    return hashlib.sha256(arrays).hexdigest()[:16]


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_a_batch_depends_on_its_number_alone(objective):
    corpus = random_corpus(0)
    one, other = make(corpus, objective=objective), make(corpus, objective=objective)
    forward = [digest(one.batch(k)) for k in range(20)]
    backward = [digest(other.batch(k)) for k in reversed(range(20))]
    assert forward == backward[::-1]
    assert len(set(forward)) == 20
    assert digest(make(corpus, objective=objective, seed=1).batch(0)) != forward[0]


def test_a_batch_stays_what_it_was():
    # Recorded: a run resumed under a later version must go on with the same data.
    batches = make(random_corpus(0))
    assert [digest(batches.batch(k)) for k in (0, 1, 10**9)] == [
        "422d700e3a4ef445",
        "b7dc09e3864157a6",
        "e6f41d4836d150dd",
    ]


@pytest.mark.parametrize("workers", [0, 2])
def test_workers_do_not_change_batches(workers):
    batches = make(random_corpus(0))
    streamed = [digest(batch) for batch in stream(batches, range(3, 11), workers=workers)]
    assert streamed == [digest(batches.batch(k)) for k in range(3, 11)]


def test_a_worker_process_is_sent_the_path_of_the_shards_and_makes_the_same_batches(real_corpus):
    shards, word_starts = real_corpus
    batches = Batches(shards, word_starts=word_starts, settings=BatchSettings())
    sent = bytes(ForkingPickler.dumps(batches))
    assert len(sent) < len(word_starts) + 2000
    assert digest(ForkingPickler.loads(sent).batch(5)) == digest(batches.batch(5))


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(("T", "max_length"), [(4096, 128), (4096, 512), (1000, 77), (64, 64)])
def test_sizes_are_exact_and_the_layout_is_that_of_a_packed_batch(objective, T, max_length):
    batches = make(random_corpus(1), objective=objective, batch_tokens=T, max_length=max_length)
    for k in range(20):
        batch = batches.batch(k)
        assert len(batch.predicted_positions) == len(batch.predicted_tokens) == round(0.15 * T)
        assert (np.diff(batch.predicted_positions) > 0).all()
        assert len(batch.sentence_labels) == len(batch.offsets) - 1
        assert all(getattr(batch, f.name).dtype == np.int64 for f in fields(batch))
        tokens, positions, segments = restored(batch).tolist(), [], []
        for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
            sequence = tokens[start:stop]
            assert 3 <= len(sequence) <= max_length
            assert sequence[0] == 2
            assert sequence[-1] == 3
            first = sequence.index(3) + 1
            positions += range(len(sequence))
            segments += [0] * first + [1] * (len(sequence) - first)
        assert len(tokens) == T
        assert batch.positions.tolist() == positions
        assert batch.segments.tolist() == segments


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    "documents",
    [
        [[1]],
        [[1], [1]],
        [[1]] * 50,
        [[2]] * 50 + [[1]],
        [[1, 1]] * 3,
        [[5000]],
        [[3000], [1]],
        [[1, 4000, 1], [2]],
        [[7] * 30, [9]],
    ],
)
def test_tiny_and_odd_corpora_fill_batches_too(objective, documents):
    corpus = corpus_of(documents)
    if objective == "mlm+nsp" and len(documents) == 1:
        with pytest.raises(InputError, match="two documents"):
            make(corpus, objective=objective)
        return
    for T, max_length in [(512, 128), (601, 64), (100, 100)]:
        batches = make(corpus, objective=objective, batch_tokens=T, max_length=max_length)
        assert batches.num_batches >= 1
        for k in range(5):
            batch = batches.batch(k)
            assert len(batch.tokens) == batch.offsets[-1] == T
            assert len(batch.predicted_positions) == round(0.15 * T)
            assert (restored(batch)[batch.predicted_positions] >= FIRST_ID).all()
            assert (np.diff(batch.offsets) > 0).all()


@pytest.mark.parametrize("order", ["shuffled", "sequential"])
@pytest.mark.parametrize(("objective", "document"), [("mlm", [126]), ("mlm+sop", [60, 65])])
def test_an_epoch_of_documents_as_long_as_a_window_sees_each_token_exactly_once(
    order, objective, document
):
    corpus = corpus_of([document] * 40, [document] * 56)
    batches = make(corpus, objective=objective, order=order, short_sequence_probability=0)
    assert batches.num_batches == 3
    epochs = []
    for epoch in range(2):
        tokens = np.concatenate([restored(batches.batch(3 * epoch + k)) for k in range(3)])
        epochs.append(tokens[tokens >= FIRST_ID])
        assert sorted(epochs[-1].tolist()) == list(range(FIRST_ID, corpus.vocab_size))
    firsts = [
        [t for t in tokens.tolist() if (t - FIRST_ID) % sum(document) == 0] for tokens in epochs
    ]
    assert (firsts[0] == firsts[1]) == (order == "sequential")
    assert (firsts[0] == sorted(firsts[0])) == (order == "sequential")


def test_about_a_tenth_of_sequences_is_short():
    corpus = corpus_of([[10] * 1000] * 10, longest_paragraph=1)
    lengths = {}
    for probability in (0.0, 0.1):
        batches = make(corpus, short_sequence_probability=probability)
        lengths[probability] = np.concatenate(
            [np.diff(batches.batch(k).offsets)[:-4] for k in range(50)]
        )
    assert lengths[0.0].min() == 123
    share = (lengths[0.1] < 123).mean()
    assert 0.07 < share < 0.13


def test_a_sequence_that_is_not_drawn_short_lacks_less_than_a_paragraph():
    # Only where a document ends: what is left of it from a paragraph's start on.
    corpus = corpus_of([[10] * 100] * 100, longest_paragraph=5)
    batches = make(corpus, short_sequence_probability=0)
    lengths = np.concatenate([np.diff(batches.batch(k).offsets)[:-4] for k in range(50)])
    assert lengths.max() == 123
    assert 123 - 5 * 10 < lengths.min() < 123
    assert (lengths < 123).mean() < 0.1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"objective": "sop"}, "objective='sop'"),
        ({"order": "random"}, "order='random'"),
        ({"sop_negatives": "none"}, "sop_negatives='none'"),
        ({"max_length": 4}, "max_length=4"),
        ({"batch_tokens": 100, "max_length": 128}, "batch_tokens=100"),
        ({"mask_rate": 0.0}, "mask_rate=0.0"),
        ({"mask_rate": 1.0}, "mask_rate=1.0"),
        ({"mask_rate": 1e-5}, "predicts nothing"),
        ({"max_predictions_per_sequence": 0}, "max_predictions_per_sequence=0"),
        ({"max_ngram": 0}, "max_ngram=0"),
        ({"short_sequence_probability": 1.5}, "short_sequence_probability=1.5"),
        ({"seed": -1}, "seed=-1"),
        ({"objective": "mlm+nsp", "sop_negatives": "google"}, "needs objective=mlm\\+sop"),
    ],
)
def test_contradictory_settings_are_refused_by_name(changes, words):
    with pytest.raises(InputError, match=words):
        BatchSettings(**changes)


def test_a_tokenizer_of_another_size_is_refused():
    corpus = random_corpus(0)
    with pytest.raises(InputError, match="use the tokenizer stored with the shards"):
        Batches(corpus, word_starts=np.ones(7, bool), settings=BatchSettings())
