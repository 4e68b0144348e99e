"""Extractive answers: a context in overlapping windows, the borders of the answer in tokens.

Google's squad_utils.py: questions keep 64 tokens, windows move on by 128, and one that does not
hold the whole answer is learned as unanswerable. Characters are found by the tokenizer's own
offsets, where Google aligns two strings and drops what does not match.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.model.task_heads import AnswerabilityHead, SpanHead, SpanScores
from litebert.tasks.example import Kind, SpanExample
from litebert.tasks.problems import Problems
from litebert.tasks.span_decoding import Candidate, best_spans, null_score
from litebert.tasks.squad_score import apply_threshold, best_threshold, score
from litebert.tasks.units import Unit, sequence_of
from litebert.text.tokenizer import Tokenizer

QUESTION_TOKENS = 64
# What the window is learned to answer where it does not hold the answer: [CLS].
NOWHERE = (0, 0)


@dataclass(frozen=True, slots=True)
class Window:
    """The part of a context that one sequence shows, and what is to be learned from it."""

    context_at: int
    """Place of the first token of the context in the sequence."""
    characters: list[tuple[int, int]]
    """Characters [start, end) of the context behind each of its tokens in the window."""
    best: list[bool]
    """Whether no other window shows the token with more context around it."""
    borders: tuple[int, int] = NOWHERE
    """Places of the first and the last token of the answer in the sequence."""


@dataclass(frozen=True)
class SpanAnswer:
    """What a model makes of one question."""

    null: float
    """How much rather there is none; to be compared with a threshold."""
    candidates: list[Candidate]
    """Spans of the context, likeliest first."""


class Spans:
    """Questions about contexts; `unanswerable` says that some have no answer.

    `paper_head` is the head of the paper's SQuAD 2.0, else borders are scored on their own and the
    null score is that of [CLS] against the best span, as in BERT.
    """

    kind: Kind = "span"
    labels: tuple[str, ...] = ()

    def __init__(
        self,
        *,
        unanswerable: bool,
        max_length: int,
        paper_head: bool = False,
        stride: int = 128,
        longest_answer: int = 30,
    ):
        self.unanswerable, self.paper_head = unanswerable, paper_head and unanswerable
        self.max_length, self.stride, self.longest = max_length, stride, longest_answer
        self.threshold: float | None = None
        """Null score above which the answer is ""; chosen by `choose_threshold`."""

    def settings(self) -> dict[str, Any]:
        """What makes it again, the threshold included."""
        return {
            "unanswerable": self.unanswerable,
            "max_length": self.max_length,
            "paper_head": self.paper_head,
            "stride": self.stride,
            "longest_answer": self.longest,
            "threshold": self.threshold,
        }

    def head(self, config: ModelConfig, dropout: float) -> nn.Module:
        """Scores of first and last tokens."""
        if self.paper_head:
            return AnswerabilityHead(config, dropout)
        return SpanHead(config)

    def units(
        self, examples: Sequence[SpanExample], tokenizer: Tokenizer, problems: Problems
    ) -> list[Unit]:
        """One unit a window."""
        contexts = list(dict.fromkeys(example.context for example in examples))
        encoded = {
            context: (ids, [_trimmed(span, context) for span in offsets])
            for context, (ids, offsets) in zip(
                contexts, tokenizer.encode_with_offsets(contexts), strict=True
            )
        }
        questions = tokenizer.encode_batch([example.question for example in examples])
        made = []
        for number, (example, question) in enumerate(zip(examples, questions, strict=True)):
            question = question[: min(QUESTION_TOKENS, self.max_length // 2)]
            ids, offsets = encoded[example.context]
            wanted = _borders_in_tokens(example, offsets)
            if example.answers and wanted is None:
                problems.report(example.place, "an answer that no tokens stand for",
                                found=example.answers[0].text,
                                done="learned as unanswerable, scored as it is")  # fmt: skip
            room = self.max_length - len(question) - 3
            ranges = _ranges(len(ids), room, self.stride)
            if wanted and not any(begin <= wanted[0] and wanted[1] < end for begin, end in ranges):
                what = "an answer that no window shows whole, for want of a smaller stride"
                problems.report(example.place, what, found=example.answers[0].text,
                                done="learned as unanswerable")  # fmt: skip
            for window, (begin, end) in enumerate(ranges):
                at = len(question) + 2
                borders = NOWHERE
                if wanted and begin <= wanted[0] and wanted[1] < end:
                    borders = (wanted[0] - begin + at, wanted[1] - begin + at)
                best = [_best_window(token, ranges) == window for token in range(begin, end)]
                sequence = sequence_of(tokenizer, question, ids[begin:end])
                target = Window(at, offsets[begin:end], best, borders)
                made.append(Unit(number, (sequence,), target))
        return made

    def arguments(self, units: Sequence[Unit], *, learning: bool) -> tuple:
        """What may be chosen, (T,), and when learning the right first tokens, (B,)."""
        allowed = torch.cat([_allowed(unit) for unit in units])
        starts = torch.tensor([unit.target.borders[0] for unit in units]) if learning else None
        return allowed, starts

    def loss(self, scores: SpanScores, units: Sequence[Unit]) -> Tensor:
        """Sum over windows of the mean cross-entropy of both borders, and of answerability."""
        device = scores.starts.device
        borders = torch.tensor([unit.target.borders for unit in units], device=device)
        loss = F.nll_loss(scores.starts, borders[:, 0], reduction="sum")
        loss = (loss + F.nll_loss(scores.ends, borders[:, 1], reduction="sum")) / 2
        if scores.null is None:
            return loss
        empty = (borders == torch.tensor(NOWHERE, device=device)).all(-1).float()
        return loss + 0.5 * F.binary_cross_entropy_with_logits(scores.null, empty, reduction="sum")

    def answers(self, scores: SpanScores, units: Sequence[Unit]) -> list:
        """The likeliest spans of every window and its null score."""
        rows = []
        for number, unit in enumerate(units):
            length = unit.length
            ends = scores.ends[number, ..., :length].cpu().numpy()
            starts = scores.starts[number, :length].cpu().numpy()
            chosen = None
            if scores.candidates is not None:
                chosen = scores.candidates[number].cpu().numpy()
            spans = best_spans(starts, ends, chosen, unit.target, longest=self.longest)
            null = None if scores.null is None else float(scores.null[number])
            rows.append((spans, null_score(starts, ends) if null is None else null))
        return rows

    def combine(self, several: Sequence[list]) -> list:
        """Answers of several models to the same units as one, as for the paper's leaderboard.

        A span has the mean score of the models that proposed it, the null score that of all.
        """
        combined = []
        for rows in zip(*several, strict=True):
            found: dict[tuple[int, int], list[float]] = {}
            for candidate in (candidate for spans, _ in rows for candidate in spans):
                place = candidate.start, candidate.end
                found.setdefault(place, []).append(candidate.score)
            spans = [Candidate(*place, sum(s) / len(s)) for place, s in found.items()]
            spans = sorted(spans, key=lambda candidate: -candidate.score)[:20]
            combined.append((spans, sum(null for _, null in rows) / len(rows)))
        return combined

    def predictions(self, answers: Sequence, units: Sequence[Unit]) -> list:
        """One SpanAnswer an example: its windows' best spans together."""
        found: dict[int, list] = {}
        for row, unit in zip(answers, units, strict=True):
            found.setdefault(unit.example, []).append((row, unit.target))
        return [self._answer(found[number]) for number in sorted(found)]

    def _answer(self, windows: list) -> SpanAnswer:
        candidates = sorted(
            (span for (spans, _), _ in windows for span in spans), key=lambda c: -c.score
        )[:20]
        # the window that shows the answer is the one that least denies it
        null = min(null for (_, null), _ in windows)
        if not self.paper_head:
            null -= candidates[0].score if candidates else 0.0
        return SpanAnswer(null, candidates)

    def texts(
        self, predictions: Sequence[SpanAnswer], examples: Sequence[SpanExample]
    ) -> list[str]:
        """The answers, "" above the threshold."""
        texts = [
            example.context[answer.candidates[0].start : answer.candidates[0].end]
            if answer.candidates
            else ""
            for answer, example in zip(predictions, examples, strict=True)
        ]
        if not self.unanswerable or self.threshold is None:
            return texts
        return apply_threshold(texts, [answer.null for answer in predictions], self.threshold)

    def choose_threshold(
        self, predictions: Sequence[SpanAnswer], examples: Sequence[SpanExample]
    ) -> None:
        """Set the threshold that is best for F1 on these questions; none if all have answers."""
        self.threshold = None
        if not self.unanswerable or all(example.answers for example in examples):
            return
        texts = self.texts(predictions, examples)
        self.threshold = best_threshold(examples, texts, [answer.null for answer in predictions])

    def score(
        self, predictions: Sequence[SpanAnswer], examples: Sequence[SpanExample]
    ) -> dict[str, float]:
        """Exact match and F1 in per cent, F1 first."""
        texts = self.texts(predictions, examples)
        found = score(examples, texts, unanswerable=self.unanswerable)
        values = {"f1": found.f1, "exact": found.exact}
        if found.answerable is not None:
            values["f1_answerable"] = found.answerable
            values["f1_unanswerable"] = found.unanswerable or 0.0
        return values


def _trimmed(span: tuple[int, int], context: str) -> tuple[int, int]:
    """A token's characters without the space that its piece may begin with."""
    start, end = span
    while start < end and context[start].isspace():
        start += 1
    return start, end


def _borders_in_tokens(
    example: SpanExample, offsets: Sequence[tuple[int, int]]
) -> tuple[int, int] | None:
    """First and last token that share a character with the first answer; None without any."""
    placed = [answer for answer in example.answers if answer.start is not None]
    if not placed:
        return None
    start, end = placed[0].start or 0, (placed[0].start or 0) + len(placed[0].text)
    inside = [n for n, (a, b) in enumerate(offsets) if a < end and b > start and a < b]
    return (inside[0], inside[-1]) if inside else None


def _ranges(count: int, room: int, stride: int) -> list[tuple[int, int]]:
    """Windows of at most `room` tokens that each begin `stride` after the one before."""
    ranges, begin = [], 0
    while True:
        end = min(begin + room, count)
        ranges.append((begin, end))
        if end == count:
            return ranges
        begin += min(end - begin, stride)


def _best_window(token: int, ranges: Sequence[tuple[int, int]]) -> int:
    """The window with most context on the poorer side of a token, a little more for length."""
    scores = [
        min(token - begin, end - 1 - token) + 0.01 * (end - begin) if begin <= token < end else -1.0
        for begin, end in ranges
    ]
    return max(range(len(scores)), key=scores.__getitem__)


def _allowed(unit: Unit) -> Tensor:
    """Which tokens of a window may be borders: [CLS] and the context."""
    allowed = torch.zeros(unit.length, dtype=torch.bool)
    at = unit.target.context_at
    allowed[at : at + len(unit.target.characters)] = True
    allowed[0] = True
    return allowed
