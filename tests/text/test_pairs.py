"""Which text meets which: read off from token ids that number the tokens of the corpus."""

import numpy as np
import pytest
from synthetic import FIRST_ID, Corpus, corpus_of, origin, random_corpus

from litebert.text.batches import Batches, BatchSettings
from litebert.text.pairs import InstanceMaker


def sequences(corpus: Corpus, settings: BatchSettings, count: int, *, inner: bool = False):
    """Restored text of `count` batches as (A, B or None, label), each text as token numbers.

    With `inner` the last sequences of each batch are left out: those that are cut to fit.
    """
    batches = Batches(corpus, word_starts=np.ones(corpus.vocab_size, bool), settings=settings)
    for k in range(count):
        batch = batches.batch(k)
        tokens = batch.tokens.copy()
        tokens[batch.predicted_positions] = batch.predicted_tokens
        labels = batch.sentence_labels.tolist()
        for b, label in enumerate(labels[:-5] if inner else labels):
            start, stop = batch.offsets[b : b + 2]
            sequence, segments = tokens[start:stop], batch.segments[start:stop]
            assert sequence[0] == 2
            assert sequence[-1] == 3
            first = sequence[segments == 0][1:-1] - FIRST_ID
            second = sequence[segments == 1][:-1] - FIRST_ID
            assert (np.diff(first) == 1).all()
            assert (np.diff(second) == 1).all()
            yield first, second if len(second) else None, label


@pytest.mark.parametrize("max_length", [32, 128, 256])
def test_sop_pairs_come_from_one_document_and_the_label_says_their_order(max_length):
    corpus = random_corpus(0)
    documents, segments = origin(corpus)
    pairs = 0
    for first, second, label in sequences(corpus, BatchSettings(max_length=max_length), 60):
        assert len(set(documents[first])) == 1
        if second is None:
            assert label == -1
            continue
        pairs += 1
        earlier, later = (first, second) if label == 0 else (second, first)
        assert set(documents[earlier]) == set(documents[later])
        assert earlier[-1] < later[0]
        assert segments[earlier[-1]] < segments[later[0]]
    assert pairs > 1000


@pytest.mark.parametrize("max_length", [32, 128, 256])
def test_sop_pairs_are_neighbours_and_only_lone_segments_go_without(max_length):
    corpus = random_corpus(0)
    documents, segments = origin(corpus)
    segments_of = np.array([len(set(segments[documents == d])) for d in range(300)])
    settings = BatchSettings(max_length=max_length)
    for first, second, label in sequences(corpus, settings, 30, inner=True):
        if second is None:
            assert segments_of[documents[first[0]]] == 1
        else:
            earlier, later = (first, second) if label == 0 else (second, first)
            assert segments[later[0]] - segments[earlier[-1]] == 1


def test_what_fits_is_never_cut():
    corpus = random_corpus(1)
    _, segments = origin(corpus)
    begins = np.diff(segments, prepend=-1) > 0
    ends = np.diff(segments, append=segments[-1] + 1) > 0
    # Any two segments of at most 60 tokens fit in 125.
    settings = BatchSettings(max_length=128, short_sequence_probability=0)
    pairs = 0
    for first, second, _ in sequences(corpus, settings, 60, inner=True):
        for part in (first,) if second is None else (first, second):
            assert begins[part[0]]
            assert ends[part[-1]]
        pairs += second is not None
    assert pairs > 1500


def in_text_order(corpus: Corpus, *, content: int, anchors: np.ndarray):
    """The anchor and the order pair made at it, the part that is earlier in the text first."""
    maker = InstanceMaker(corpus, word_starts=np.ones(corpus.vocab_size, bool), objective="mlm+sop")
    rng = np.random.default_rng(0)
    for anchor in anchors.tolist():
        instance = maker.make(anchor, content=content, rng=rng)
        if instance.second is not None:
            pair = (instance.first, instance.second)
            yield anchor, *(pair if instance.label == 0 else pair[::-1])


@pytest.mark.parametrize("content", [61, 125])
def test_an_order_pair_begins_with_the_first_paragraph_from_which_its_anchor_is_in_reach(content):
    corpus = random_corpus(9, shards=1)
    [shard] = corpus.shards
    documents, _ = origin(corpus)
    borders, paragraphs = shard.segments.tolist(), shard.segments[shard.paragraphs].tolist()
    begun = deep = 0
    anchors = np.arange(0, corpus.total_tokens, 5)
    for anchor, earlier, later in in_text_order(corpus, content=content, anchors=anchors):
        end = next(border for border in borders if border > anchor)
        reach = [
            start
            for start in paragraphs[:-1]
            if start <= anchor and end - start <= content and documents[start] == documents[anchor]
        ]
        if not reach:
            deep += 1
            continue
        ends = [b for b in borders if reach[0] < b <= reach[0] + content]
        ends = [b for b in ends if documents[b - 1] == documents[anchor]]
        if len(ends) == 1:
            # No second segment fits: a neighbour is taken on either side and both are cut.
            continue
        begun += 1
        assert earlier.start == reach[0]
        assert earlier.stop == later.start
        assert later.start in ends[:-1]
        assert later.stop == ends[-1] >= end
    assert begun > 1000
    assert deep > 20


def test_the_text_around_an_anchor_out_of_reach_of_its_paragraph_is_paired_too():
    corpus = corpus_of([[10] * 100], longest_paragraph=1)
    corpus.shards[0].paragraphs = np.array([0, 100])
    begins = set()
    for anchor, earlier, later in in_text_order(corpus, content=50, anchors=np.arange(1000)):
        assert earlier.start <= anchor < later.stop
        assert later.stop - earlier.start == 50
        begins.add(earlier.start)
    assert begins == set(range(0, 960, 10))


@pytest.mark.parametrize("longest_paragraph", [1, 5])
def test_the_longer_part_is_not_the_earlier_one(longest_paragraph):
    # The anchor's own paragraph as the start made it so in 55.5 % where segments are paragraphs.
    corpus = random_corpus(10, documents=3000, shards=1, longest_paragraph=longest_paragraph)
    anchors = np.random.default_rng(0).integers(corpus.total_tokens, size=8000)
    longer = [
        np.sign(earlier.length - later.length)
        for _, earlier, later in in_text_order(corpus, content=125, anchors=anchors)
    ]
    # Three standard errors on top of what whole segments leave: 51.5 % at worst.
    assert abs(np.mean(longer) / 2) < 0.015 + 3 * 0.5 / np.sqrt(len(longer))


@pytest.mark.parametrize("objective", ["mlm+sop", "mlm+nsp"])
def test_labels_are_balanced(objective):
    settings = BatchSettings(objective=objective)
    labels = np.array([label for *_, label in sequences(random_corpus(2), settings, 120)])
    labels = labels[labels >= 0]
    assert len(labels) > 4000
    assert abs(labels.mean() - 0.5) < 3 * 0.5 / np.sqrt(len(labels))


@pytest.mark.parametrize("objective", ["mlm+sop", "mlm+nsp"])
@pytest.mark.parametrize(("max_length", "longest"), [(128, 60), (64, 200), (65, 33)])
def test_lengths_do_not_tell_the_label(objective, max_length, longest):
    corpus = random_corpus(3, documents=2000, longest=longest, shards=1)
    settings = BatchSettings(objective=objective, max_length=max_length)
    rows = [
        (label, len(a), len(b)) for a, b, label in sequences(corpus, settings, 100) if label >= 0
    ]
    label, a, b = np.array(rows).T
    room = max_length - 3
    for clue in (a, b, a + b, a > b, a == b + 1, b == a + 1, a + b == room, a == 1, b == 1):
        no, yes = clue[label == 0].astype(float), clue[label == 1].astype(float)
        error = np.sqrt(no.var() / len(no) + yes.var() / len(yes))
        assert abs(no.mean() - yes.mean()) <= 4 * error


def test_nsp_negatives_come_from_another_document_and_positives_follow_on():
    corpus = random_corpus(4)
    documents, segments = origin(corpus)
    seen = {0: 0, 1: 0}
    settings = BatchSettings(objective="mlm+nsp")
    for first, second, label in sequences(corpus, settings, 100, inner=True):
        assert len(set(documents[first])) == 1
        if label < 0:
            continue
        assert len(set(documents[second])) == 1
        seen[label] += 1
        if label == 1:
            assert documents[first[0]] != documents[second[0]]
        else:
            assert documents[first[0]] == documents[second[0]]
            assert segments[second[0]] - segments[first[-1]] == 1
    assert min(seen.values()) > 1000


def test_nsp_finds_the_one_other_document_however_small():
    corpus = corpus_of([[30] * 400], [[3]])
    documents, _ = origin(corpus)
    negatives = 0
    for first, second, label in sequences(corpus, BatchSettings(objective="mlm+nsp"), 10):
        if label == 1:
            negatives += 1
            assert {documents[first[0]], documents[second[0]]} == {0, 1}
    assert negatives > 100


def test_google_negatives_pair_lone_segments_with_another_document_under_label_one():
    corpus = random_corpus(5, longest=200, most=6)
    documents, segments = origin(corpus)
    crossing = swapped = 0
    for first, second, label in sequences(corpus, BatchSettings(sop_negatives="google"), 60):
        if second is None or documents[first[0]] == documents[second[0]]:
            swapped += label == 1
            continue
        crossing += 1
        assert label == 1
        assert len(set(segments[first])) == 1
    assert crossing > 100
    assert swapped > 100


def test_mlm_takes_one_run_of_one_document():
    corpus = random_corpus(6)
    documents, _ = origin(corpus)
    for first, second, label in sequences(corpus, BatchSettings(objective="mlm"), 30):
        assert second is None
        assert label == -1
        assert len(set(documents[first])) == 1


@pytest.mark.parametrize("objective", ["mlm", "mlm+sop", "mlm+nsp"])
def test_an_epoch_sees_each_token_once_on_average_and_ten_see_nearly_all(objective):
    corpus = random_corpus(7, documents=400)
    settings = BatchSettings(objective=objective, max_length=64)
    batches = Batches(corpus, word_starts=np.ones(corpus.vocab_size, bool), settings=settings)
    seen = np.zeros(corpus.total_tokens)
    for first, second, _ in sequences(corpus, settings, 10 * batches.num_batches):
        seen[first] += 1
        if second is not None:
            seen[second] += 1
    assert abs(seen.mean() / 10 - 1) < 0.05
    assert (seen == 0).mean() < 0.005


def test_every_token_of_an_overlong_segment_is_seen():
    corpus = corpus_of([[1000, 5]])
    seen = np.zeros(1005)
    for first, second, _ in sequences(corpus, BatchSettings(max_length=64), 20):
        for part in (first, second):
            if part is not None:
                seen[part] += 1
    long = seen[:1000]
    assert long.min() > 0.3 * long.mean()


def test_a_cut_text_begins_at_a_word_and_keeps_its_length():
    corpus = random_corpus(8, longest=300, most=4)
    word_starts = np.random.default_rng(0).random(corpus.vocab_size) < 0.5
    settings = BatchSettings(max_length=64, short_sequence_probability=0)
    batches = Batches(corpus, word_starts=word_starts, settings=settings)
    cut = 0
    for k in range(30):
        for first, second, _ in batches.instances(k)[:-5]:
            for span in (first, second) if second else (first,):
                shard = corpus.shards[span.shard]
                if span.start not in shard.segments:
                    cut += 1
                    assert word_starts[shard.tokens[span.start]]
            assert first.length + (second.length if second else 0) <= 61
    assert cut > 500
