"""Masked n-grams of whole words, exactly P of them per batch so that shapes are static.

Lan et al. 2020 (arXiv 1909.11942) section 4.1 and Google's `create_masked_lm_predictions`: spans of
n words with p(n) in proportion to 1/n, 80 % [MASK], 10 % a random token, 10 % kept, per token.
Ours: a span never crosses a [SEP], and a budget that spans cannot meet exactly is filled up.
"""

from typing import NamedTuple

import numpy as np

from litebert.errors import InputError


class Words(NamedTuple):
    """The maskable words of a packed batch, in order (n,): specials belong to none."""

    begins: np.ndarray
    """Position of the first token."""
    ends: np.ndarray
    """One past the position of the last token."""
    part_ends: np.ndarray
    """One past the number of the last word of the same A or B: spans stop here."""


def find_words(tokens: np.ndarray, parts: np.ndarray, *, word_starts: np.ndarray) -> Words:
    """Group packed tokens (T,) into whole words by the vocabulary's word starts.

    `parts` (T,) numbers the A and B texts of the batch in ascending order and is -1 at specials.
    The first token of a part begins a word even where a cut left only the end of one.
    """
    text = parts >= 0
    begins_word = text & word_starts[tokens]
    begins_word[1:] |= text[1:] & (parts[1:] != parts[:-1])
    begins = np.flatnonzero(begins_word)
    lengths = np.bincount(np.cumsum(begins_word)[text] - 1, minlength=len(begins))
    word_parts = parts[begins]
    return Words(begins, begins + lengths, word_parts.searchsorted(word_parts, "right"))


def draw_span_lengths(count: int, *, max_ngram: int, rng: np.random.Generator) -> np.ndarray:
    """Draw words per span (count,) with p(n) = (1/n) / sum(1/k) for n = 1..max_ngram."""
    weights = 1 / np.arange(1, max_ngram + 1)
    edges = np.cumsum(weights / weights.sum())[:-1]
    return edges.searchsorted(rng.random(count), "right") + 1


def sequence_budgets(
    offsets: np.ndarray, *, predictions: int, text_lengths: np.ndarray
) -> np.ndarray:
    """Share out P predictions over sequences (B,) by length; the shares sum to P exactly.

    Rounding is carried along: shares are differences of the rounded running total. No share is
    larger than the text of its sequence; what does not fit goes to the first that have room.
    """
    total = int(offsets[-1])
    budgets = np.minimum(np.diff((offsets * predictions + total // 2) // total), text_lengths)
    missing = predictions - int(budgets.sum())
    room = text_lengths - budgets
    if missing > room.sum():
        raise InputError(
            f"{predictions} predictions asked for in a batch with {text_lengths.sum()} tokens of "
            "text (documents of a few tokens): lower mask_rate or join short documents"
        )
    return budgets + np.clip(missing - (np.cumsum(room) - room), 0, room)


def choose_positions(
    words: Words,
    *,
    offsets: np.ndarray,
    budgets: np.ndarray,
    max_ngram: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Choose the positions to predict (P,), sorted: exactly `budgets[i]` of them in sequence i.

    Words are walked in random order. Each begins a span of the drawn number of words, shortened at
    the end of its part and while it exceeds what is left of the budget; a span that meets a word
    already chosen is dropped. Then single words fill up, and pieces of a word as the last resort.
    """
    sequences = offsets.searchsorted(words.begins, "right") - 1
    # One sort shuffles the words of every sequence: whole part the sequence, fraction the draw.
    order = np.argsort(sequences + rng.random(len(sequences))).tolist()
    spans = draw_span_lengths(len(sequences), max_ngram=max_ngram, rng=rng)
    spans = np.minimum(spans, words.part_ends - np.arange(len(spans))).tolist()
    begins, ends = words.begins.tolist(), words.ends.tolist()
    firsts = sequences.searchsorted(np.arange(len(budgets) + 1)).tolist()
    chosen = bytearray(len(order))
    pieces: list[int] = []

    for sequence, left in enumerate(budgets.tolist()):
        walk = order[firsts[sequence] : firsts[sequence + 1]]
        for word in walk:
            if not left:
                break
            stop = word + spans[word]
            size = ends[stop - 1] - begins[word]
            while size > left and stop > word + 1:
                stop -= 1
                size = ends[stop - 1] - begins[word]
            if size <= left and chosen.find(1, word, stop) < 0:
                chosen[word:stop] = b"\1" * (stop - word)
                left -= size
        if left:
            left = _fill_with_words(walk, begins, ends, chosen, left)
        if left:
            free = [p for w in walk if not chosen[w] for p in range(begins[w], ends[w])]
            pieces += free[:left]

    taken = np.frombuffer(chosen, dtype=bool)
    lengths = (words.ends - words.begins)[taken]
    starts = words.begins[taken] - (np.cumsum(lengths) - lengths)
    positions = np.repeat(starts, lengths) + np.arange(lengths.sum())
    return np.sort(np.concatenate([positions, np.array(pieces, np.int64)]))


def _fill_with_words(
    walk: list[int], begins: list[int], ends: list[int], chosen: bytearray, left: int
) -> int:
    """Choose further single words that fit, in the walk's order; returns what stays unfilled."""
    for word in walk:
        size = ends[word] - begins[word]
        if not chosen[word] and size <= left:
            chosen[word] = 1
            left -= size
            if not left:
                break
    return left


def corrupt(
    tokens: np.ndarray,
    positions: np.ndarray,
    *,
    mask_id: int,
    vocab_size: int,
    rng: np.random.Generator,
) -> np.ndarray:
    """Tokens (T,) with 80 % of the positions masked, 10 % random and 10 % kept, drawn per token.

    The random token is uniform over the whole vocabulary, specials and the original included, as
    in Google's code.
    """
    action = rng.random(len(positions))
    random_tokens = rng.integers(0, vocab_size, len(positions))
    corrupted = tokens.copy()
    corrupted[positions] = np.where(
        action < 0.8, mask_id, np.where(action < 0.9, random_tokens, tokens[positions])
    )
    return corrupted
