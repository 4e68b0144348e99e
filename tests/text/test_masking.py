"""Masks: exact counts, whole words, the published proportions, against slow rewritings."""

import numpy as np
import pytest

from litebert.errors import InputError
from litebert.text.batches import Batches, BatchSettings
from litebert.text.masking import (
    choose_positions,
    corrupt,
    draw_span_lengths,
    find_words,
    sequence_budgets,
)

TOKENS = 1_000_000


def within(count: float, *, of: int, p: float, errors: float = 3) -> bool:
    """Whether a share is its probability within so many standard errors."""
    return abs(count / of - p) <= errors * np.sqrt(p * (1 - p) / of)


@pytest.mark.parametrize("max_ngram", [1, 2, 3, 5])
def test_span_lengths_are_drawn_in_proportion_to_one_over_n(max_ngram):
    n = 200_000
    drawn = draw_span_lengths(n, max_ngram=max_ngram, rng=np.random.default_rng(0))
    total = sum(1 / k for k in range(1, max_ngram + 1))
    assert drawn.min() == 1
    assert drawn.max() == max_ngram
    for k in range(1, max_ngram + 1):
        assert within((drawn == k).sum(), of=n, p=1 / k / total)


def test_a_million_tokens_of_real_text_have_the_budget_and_80_10_10(real_corpus):
    shards, word_starts = real_corpus
    batches = Batches(shards, word_starts=word_starts, settings=BatchSettings())
    V, count = shards.vocab_size, TOKENS // 4096 + 1
    total = masked = kept = 0
    for k in range(count):
        batch = batches.batch(k)
        assert len(batch.predicted_positions) == round(0.15 * 4096)
        inputs = batch.tokens[batch.predicted_positions]
        total += len(inputs)
        masked += (inputs == shards.special["mask"]).sum()
        kept += (inputs == batch.predicted_tokens).sum()
    # A random token is [MASK], or the original, once in V.
    assert within(masked, of=total, p=0.8 + 0.1 / V)
    assert within(kept, of=total, p=0.1 + 0.1 / V)


def test_random_tokens_are_uniform_over_the_whole_vocabulary():
    V, n = 20, 400_000
    tokens = np.full(n, 7)
    corrupted = corrupt(tokens, np.arange(n), mask_id=4, vocab_size=V, rng=np.random.default_rng(0))
    for token, count in enumerate(np.bincount(corrupted, minlength=V)):
        share = 0.1 / V + {4: 0.8, 7: 0.1}.get(token, 0)
        assert within(count, of=n, p=share, errors=4)


def test_only_predicted_positions_change():
    tokens = np.arange(100, 200)
    positions = np.array([3, 50, 99])
    corrupted = corrupt(tokens, positions, mask_id=4, vocab_size=10, rng=np.random.default_rng(1))
    others = np.setdiff1d(np.arange(100), positions)
    assert (corrupted[others] == tokens[others]).all()
    assert tokens.tolist() == list(range(100, 200))


def test_real_predictions_are_whole_words_of_text_and_share_the_budget_by_length(real_corpus):
    shards, word_starts = real_corpus
    settings = BatchSettings(max_length=256)
    batches = Batches(shards, word_starts=word_starts, settings=settings)
    words = torn = 0
    for k in range(30):
        batch = batches.batch(k)
        tokens = batch.tokens.copy()
        tokens[batch.predicted_positions] = batch.predicted_tokens
        predicted = set(batch.predicted_positions.tolist())
        assert not set(tokens[batch.predicted_positions].tolist()) & {2, 3}
        for start, stop in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
            word: list[int] = []
            for at in range(start, stop):
                if tokens[at] in (2, 3) or word_starts[tokens[at]]:
                    hits = len(predicted.intersection(word))
                    words += hits > 0
                    torn += 0 < hits < len(word)
                    word = []
                if tokens[at] not in (2, 3):
                    word.append(at)
            share = sum(start <= p < stop for p in predicted)
            assert abs(share - settings.predictions * (stop - start) / 4096) <= 1
    assert words > 5000
    # Pieces are the last resort, when no whole word fits what is left of a budget.
    assert torn <= 0.002 * words


def test_a_word_ends_at_the_separator_even_before_a_continuation_piece():
    # Id 9 continues a word; the B text begins with one because its front was cut.
    word_starts = np.arange(10) != 9
    tokens = np.array([2, 5, 9, 3, 9, 9, 6, 3, 2, 9, 3])
    parts = np.array([-1, 0, 0, -1, 1, 1, 1, -1, -1, 2, -1])
    words = find_words(tokens, parts, word_starts=word_starts)
    assert words.begins.tolist() == [1, 4, 6, 9]
    assert words.ends.tolist() == [3, 6, 7, 10]
    assert words.part_ends.tolist() == [1, 3, 3, 4]


def slow_positions(tokens, parts, offsets, budgets, word_starts, max_ngram, rng):
    """The rule of choose_positions in sets of positions, with the same draws."""
    words: list[list[int]] = []
    for at, part in enumerate(parts):
        if part >= 0 and (word_starts[tokens[at]] or parts[at - 1] != part):
            words.append([])
        if part >= 0:
            words[-1].append(at)
    keys, spans = rng.random(len(words)), None
    spans = draw_span_lengths(len(words), max_ngram=max_ngram, rng=rng)
    chosen: set[int] = set()
    for start, stop, budget in zip(offsets[:-1], offsets[1:], budgets, strict=True):
        mine = [w for w in range(len(words)) if start <= words[w][0] < stop]
        mine.sort(key=lambda w: keys[w])
        taken: set[int] = set()
        for w in mine:
            for n in range(spans[w], 0, -1):
                span = [p for v in words[w : w + n] if parts[v[0]] == parts[words[w][0]] for p in v]
                if len(taken) + len(span) <= budget:
                    if not taken & set(span):
                        taken |= set(span)
                    break
        for w in mine:
            if len(taken) + len(words[w]) <= budget and not taken & set(words[w]):
                taken |= set(words[w])
        rest = [p for w in mine for p in words[w] if p not in taken]
        chosen |= taken | set(rest[: budget - len(taken)])
    return sorted(chosen)


@pytest.mark.parametrize("rate", [0.02, 0.15, 0.5, 0.9])
@pytest.mark.parametrize("word_share", [0.2, 0.7])
def test_positions_are_those_of_the_slow_rewriting(rate, word_share):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        word_starts = rng.random(50) < word_share
        tokens, parts, offsets = [], [], [0]
        for b in range(int(rng.integers(1, 6))):
            for part in range(int(rng.integers(1, 3))):
                size = int(rng.integers(1, 20))
                tokens += [2] * (part == 0) + rng.integers(5, 50, size).tolist() + [3]
                parts += [-1] * (part == 0) + [2 * b + part] * size + [-1]
            offsets.append(len(tokens))
        tokens, parts, offsets = map(np.array, (tokens, parts, offsets))
        text = np.add.reduceat(parts >= 0, offsets[:-1], dtype=np.int64)
        wanted = int(rate * text.sum())
        budgets = sequence_budgets(offsets, predictions=wanted, text_lengths=text)
        positions = choose_positions(
            find_words(tokens, parts, word_starts=word_starts),
            offsets=offsets,
            budgets=budgets,
            max_ngram=3,
            rng=np.random.default_rng(seed),
        )
        slow = slow_positions(
            tokens, parts, offsets, budgets, word_starts, 3, np.random.default_rng(seed)
        )
        assert len(positions) == wanted
        assert positions.tolist() == slow


def test_budgets_sum_exactly_and_follow_length():
    rng = np.random.default_rng(0)
    for _ in range(200):
        lengths = rng.integers(4, 200, rng.integers(1, 40))
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        P = round(0.15 * offsets[-1])
        budgets = sequence_budgets(offsets, predictions=P, text_lengths=lengths - 3)
        assert budgets.sum() == P
        assert (np.abs(budgets - P * lengths / offsets[-1]) <= 1).all()


def test_a_budget_too_large_for_a_sequence_goes_to_others_and_then_is_refused():
    offsets, text = np.array([0, 3, 6, 20]), np.array([1, 1, 12])
    budgets = sequence_budgets(offsets, predictions=14, text_lengths=text)
    assert budgets.tolist() == [1, 1, 12]
    with pytest.raises(InputError, match="lower mask_rate"):
        sequence_budgets(offsets, predictions=15, text_lengths=text)


def test_googles_twenty_of_512_is_a_named_budget():
    settings = BatchSettings(max_length=512, max_predictions_per_sequence=20)
    assert settings.predictions == 4096 * 20 // 512
    # Above the rate the cap does nothing, as min() in Google's code.
    assert BatchSettings(max_length=128, max_predictions_per_sequence=20).predictions == 614
