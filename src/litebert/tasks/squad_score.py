"""Exact match and F1 of extractive answers as the official SQuAD scorers define them.

Both scorers compare normalised texts: lower case, no punctuation, no English articles, single
spaces. 2.0 adds unanswerable questions, whose only right answer is the empty text, and the
threshold on the null score that would have scored best on the same questions.
"""

import re
import string
from collections import Counter
from collections.abc import Mapping, Sequence
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


def f1(prediction: str, truth: str) -> float:
    """Harmonic mean of precision and recall over normalised words.

    Two answers of no words at all are equal, and one of no words against one with some is wrong:
    2.0's rule, which is also what 1.1's arithmetic gives for the second.
    """
    found, asked = normalise(prediction).split(), normalise(truth).split()
    if not found or not asked:
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


def question_scores(example: SpanExample, prediction: str) -> tuple[float, float]:
    """Exact match and F1 of one prediction: the best over all answers of annotators."""
    # 2.0's scorer passes over answers that are nothing but articles and punctuation
    truths = [answer.text for answer in example.answers if normalise(answer.text)] or [""]
    return (
        max(exact(prediction, truth) for truth in truths),
        max(f1(prediction, truth) for truth in truths),
    )


def score(examples: Sequence[SpanExample], predictions: Mapping[str, str]) -> SquadScore:
    """Score predictions by question id; a question without one counts as wrong, as officially."""
    rows = [
        question_scores(example, predictions[example.id]) if example.id in predictions else (0, 0)
        for example in examples
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
    examples: Sequence[SpanExample],
    predictions: Mapping[str, str],
    null_scores: Mapping[str, float],
) -> float:
    """The null score above which "" is answered: the one that is best for F1 on these questions.

    `predictions` are the answers without a threshold. Walks the questions from the lowest null
    score up, as the official scorer does: each step answers one question more. Questions of equal
    scores are answered together or not at all.
    """
    by_score = sorted(examples, key=lambda example: null_scores[example.id])
    current = best = float(sum(not example.answers for example in examples))
    threshold = null_scores[by_score[0].id] - 1.0 if by_score else 0.0
    for place, example in enumerate(by_score):
        if example.answers:
            current += question_scores(example, predictions[example.id])[1]
        elif predictions[example.id]:
            current -= 1
        here = null_scores[example.id]
        tied = place + 1 < len(by_score) and null_scores[by_score[place + 1].id] == here
        if current > best and not tied:
            best, threshold = current, here
    return threshold


def apply_threshold(
    predictions: Mapping[str, str], null_scores: Mapping[str, float], threshold: float
) -> dict[str, str]:
    """The answers, with "" where the null score is above the threshold."""
    return {id: "" if null_scores[id] > threshold else text for id, text in predictions.items()}


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else 0.0
