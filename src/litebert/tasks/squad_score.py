"""Exact match and F1 of extractive answers as the official SQuAD scorers define them.

Both scorers compare normalised texts: lower case, no punctuation, no English articles, single
spaces. 2.0 adds unanswerable questions, whose only right answer is the empty text, and the
threshold on the null score that would have scored best on the same questions.
"""

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from litebert.tasks.example import SpanExample

_ARTICLES = re.compile(r"\b(a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalise(text: str) -> str:
    """What two answers are compared by."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_PUNCTUATION)).split())


def exact(prediction: str, truth: str) -> float:
    """1 when both normalise to the same text."""
    return float(normalise(prediction) == normalise(truth))


def f1(prediction: str, truth: str, *, empty_is_equal: bool = True) -> float:
    """Harmonic mean of precision and recall over normalised words.

    With 2.0's rule two answers of no words at all are equal; with 1.1's they share none.
    """
    found, asked = normalise(prediction).split(), normalise(truth).split()
    if empty_is_equal and (not found or not asked):
        return float(found == asked)
    common = sum((Counter(found) & Counter(asked)).values())
    if not common:
        return 0.0
    precision, recall = common / len(found), common / len(asked)
    return 2 * precision * recall / (precision + recall)


@dataclass(frozen=True)
class SquadScore:
    """Means over questions, in per cent."""

    exact: float
    f1: float
    answerable: float | None = None
    """F1 of the answerable questions; None when all are."""
    unanswerable: float | None = None
    """Share of unanswerable questions that got the empty answer."""


def question_scores(
    example: SpanExample, prediction: str, *, unanswerable: bool
) -> tuple[float, float]:
    """Exact match and F1 of one prediction: the best over all answers of annotators.

    `unanswerable` chooses the scorer of 2.0, which passes over answers of nothing but articles and
    punctuation and knows the empty answer; else that of 1.1.
    """
    truths = [answer.text for answer in example.answers]
    if unanswerable:
        truths = [truth for truth in truths if normalise(truth)] or [""]
    return (
        max((exact(prediction, truth) for truth in truths), default=0.0),
        max((f1(prediction, truth, empty_is_equal=unanswerable) for truth in truths), default=0.0),
    )


def score(
    examples: Sequence[SpanExample], texts: Sequence[str], *, unanswerable: bool
) -> SquadScore:
    """Score the answers of questions, in their order."""
    rows = [
        question_scores(example, text, unanswerable=unanswerable)
        for example, text in zip(examples, texts, strict=True)
    ]
    exacts, f1s = [100 * row[0] for row in rows], [100 * row[1] for row in rows]
    has = [bool(example.answers) for example in examples]
    if all(has):
        return SquadScore(_mean(exacts), _mean(f1s))
    pairs = list(zip(f1s, has, strict=True))
    return SquadScore(
        _mean(exacts),
        _mean(f1s),
        answerable=_mean([value for value, answerable in pairs if answerable]),
        unanswerable=_mean([value for value, answerable in pairs if not answerable]),
    )


def best_threshold(
    examples: Sequence[SpanExample], texts: Sequence[str], nulls: Sequence[float]
) -> float:
    """The null score above which "" is answered: the one that is best for F1 on these questions.

    `texts` are the answers without a threshold. Walks the questions from the lowest null score up,
    as the official scorer does: each step answers one question more. Questions of equal scores are
    answered together or not at all.
    """
    order = sorted(range(len(examples)), key=lambda number: nulls[number])
    current = best = float(sum(not example.answers for example in examples))
    threshold = nulls[order[0]] - 1.0 if order else 0.0
    for place, number in enumerate(order):
        example, text, here = examples[number], texts[number], nulls[number]
        if example.answers:
            current += question_scores(example, text, unanswerable=True)[1]
        elif text:
            current -= 1
        tied = place + 1 < len(order) and nulls[order[place + 1]] == here
        if current > best and not tied:
            best, threshold = current, here
    return threshold


def apply_threshold(texts: Sequence[str], nulls: Sequence[float], threshold: float) -> list[str]:
    """The answers, with "" where the null score is above the threshold."""
    return ["" if null > threshold else text for text, null in zip(texts, nulls, strict=True)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
