"""Tagging: the class of every word, read off its first piece.

Devlin et al. 2019 (arXiv 1810.04805) section 5.3. A sentence is encoded as one text, so pieces are
those of running text; one that is too long is cut between words, and every word is tagged.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.model.task_heads import TokenHead
from litebert.tasks.example import Kind, TaggedExample
from litebert.tasks.metrics import compute
from litebert.tasks.problems import Problems
from litebert.tasks.units import Unit, sequence_of
from litebert.text.tokenizer import Tokenizer

# Target of a token that is asked nothing; cross-entropy's own convention.
NOT_ASKED = -100


class Tags:
    """Sentences in words with one tag a word."""

    kind: Kind = "tagging"

    def __init__(self, labels: Sequence[str], metrics: Sequence[str], max_length: int):
        self.labels, self.metrics, self.max_length = tuple(labels), tuple(metrics), max_length

    def settings(self) -> dict[str, Any]:
        """What makes it again, besides kind and labels."""
        return {"max_length": self.max_length, "metrics": list(self.metrics)}

    def head(self, config: ModelConfig, dropout: float) -> nn.Module:
        """Scores of every token."""
        return TokenHead(config, len(self.labels), dropout)

    def units(
        self, examples: Sequence[TaggedExample], tokenizer: Tokenizer, problems: Problems
    ) -> list[Unit]:
        """One unit a sentence, or several where it is too long.

        A unit's target is a pair: for every token the number of the word it is first of, or
        NOT_ASKED, and for every token the tag that is to be learned there.
        """
        texts = [" ".join(example.words) for example in examples]
        encoded = tokenizer.encode_with_offsets(texts)
        made = []
        for number, (example, (ids, offsets)) in enumerate(zip(examples, encoded, strict=True)):
            words = _words_of_pieces(example.words, offsets, " ".join(example.words))
            parts = list(_cut(words, self.max_length - 2))
            if len(parts) > 1:
                problems.report(example.place, "more words than the model reads",
                                done=f"tagged in parts of {self.max_length} tokens")  # fmt: skip
            for begin, end in parts:
                asked = [NOT_ASKED, *_firsts(words, begin, end), NOT_ASKED]
                tags = None
                if example.labels is not None:
                    tags = [NOT_ASKED if w < 0 else example.labels[w] for w in asked]
                sequence = sequence_of(tokenizer, ids[begin:end])
                made.append(Unit(number, (sequence,), (asked, tags)))
        return made

    def arguments(self, units: Sequence[Unit], *, learning: bool) -> tuple:
        """The head needs nothing but the encoder's output."""
        return ()

    def loss(self, scores: Tensor, units: Sequence[Unit]) -> Tensor:
        """Sum over units of the mean cross-entropy of their words."""
        tags = torch.tensor([tag for unit in units for tag in unit.target[1]])
        lengths = torch.tensor([len(unit.target[1]) for unit in units])
        words = torch.tensor([sum(t != NOT_ASKED for t in unit.target[1]) for unit in units])
        weights = (1 / words.clamp(min=1)).repeat_interleave(lengths).to(scores.device)
        losses = F.cross_entropy(
            scores, tags.to(scores.device), reduction="none", ignore_index=NOT_ASKED
        )
        return (losses * weights).sum()

    def answers(self, scores: Tensor, units: Sequence[Unit]) -> list:
        """For every unit the likeliest tag of every word in it, as (word, tag, probability)."""
        best = scores.softmax(-1).max(-1)
        tags, shares = best.indices.tolist(), best.values.tolist()
        rows, at = [], 0
        for unit in units:
            asked = unit.target[0]
            rows.append([(w, tags[at + n], shares[at + n]) for n, w in enumerate(asked) if w >= 0])
            at += len(asked)
        return rows

    def combine(self, several: Sequence[list]) -> list:
        """Answers of several models to the same units as one: the tag with most probability."""
        combined = []
        for rows in zip(*several, strict=True):
            words = []
            for votes in zip(*rows, strict=True):
                shares: dict[int, float] = {}
                for _, tag, share in votes:
                    shares[tag] = shares.get(tag, 0.0) + share / len(votes)
                best = max(shares, key=lambda tag: shares[tag])
                words.append((votes[0][0], best, shares[best]))
            combined.append(words)
        return combined

    def predictions(self, answers: Sequence[Sequence], units: Sequence[Unit]) -> list:
        """Every example's tags by word number; a word without pieces has none."""
        return [{w: tag for w, tag, _ in row} for row in _rows_of_examples(answers, units)]

    def shares(self, answers: Sequence[Sequence], units: Sequence[Unit]) -> list[dict[int, float]]:
        """Every example's probabilities of its tags, by word number."""
        return [{w: share for w, _, share in row} for row in _rows_of_examples(answers, units)]

    def names(self, prediction: dict[int, int], example: TaggedExample) -> list[str]:
        """The tag of every word; one without pieces is outside of any entity."""
        outside = self.labels.index("O") if "O" in self.labels else 0
        return [self.labels[prediction.get(n, outside)] for n in range(len(example.words))]

    def score(self, predictions: Sequence, examples: Sequence[TaggedExample]) -> dict[str, float]:
        """F1 of entities by borders and type, or where tags are no entities accuracy of words."""
        named = [self.names(*pair) for pair in zip(predictions, examples, strict=True)]
        truth = [[self.labels[tag] for tag in example.labels or ()] for example in examples]
        if self.metrics == ("accuracy",):  # of words
            return compute(
                self.metrics, *([t for row in rows for t in row] for rows in (named, truth))
            )
        return compute(self.metrics, named, truth)


def _rows_of_examples(answers: Sequence[Sequence], units: Sequence[Unit]) -> list[list]:
    """The answers of every example's units together."""
    found: dict[int, list] = {}
    for row, unit in zip(answers, units, strict=True):
        found.setdefault(unit.example, []).extend(row)
    return [found[number] for number in sorted(found)]


def _words_of_pieces(
    words: Sequence[str], offsets: Sequence[tuple[int, int]], text: str
) -> list[int]:
    """The number of the word every piece lies in."""
    word_at = [0] * (len(text) + 1)
    at = 0
    for number, word in enumerate(words):
        word_at[at : at + len(word) + 1] = [number] * (len(word) + 1)
        at += len(word) + 1
    found = []
    for start, end in offsets:
        # a piece may begin with the space before its word
        while start < end - 1 and text[start].isspace():
            start += 1
        found.append(word_at[min(start, len(text))])
    return found


def _cut(words: Sequence[int], room: int):
    """Ranges of at most `room` pieces that end between words where they can."""
    begin = 0
    while begin < len(words) or not begin:
        end = min(begin + room, len(words))
        if end < len(words):
            back = end
            while back > begin and words[back] == words[back - 1]:
                back -= 1
            end = back if back > begin else end
        yield begin, end
        if end >= len(words):
            return
        begin = end


def _firsts(words: Sequence[int], begin: int, end: int) -> list[int]:
    """For pieces of a range the word they open, NOT_ASKED for the rest of a word."""
    return [
        words[n] if n == 0 or words[n] != words[n - 1] else NOT_ASKED for n in range(begin, end)
    ]
