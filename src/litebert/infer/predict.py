"""Predictions of a fine-tuned model, also as rows stream by: labels by name, with probabilities."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, cast

from litebert.infer.early import EarlyAnswers
from litebert.interop.task_models import FineTuned
from litebert.model.task_heads import TaskModel
from litebert.tasks.answering import answer_together
from litebert.tasks.example import Example, SpanExample, TaggedExample
from litebert.tasks.naming import name_of, span_line
from litebert.tasks.problems import Problems
from litebert.tasks.spans import Spans
from litebert.tasks.tags import Tags

# Examples that are read before the first is answered: enough to sort by length.
CHUNK = 256


def predict_stream(
    tuned: FineTuned,
    examples: Iterable[Example],
    problems: Problems,
    *,
    models: Sequence[TaskModel] = (),
    depth: int | None = None,
    early: EarlyAnswers | None = None,
    chunk: int = CHUNK,
) -> Iterator[dict[str, Any]]:
    """The prediction of every example, in order, as `predict` gives it.

    So many as `chunk` says are read before the first is answered: 1 for a producer that waits for
    its answer.
    """
    left = iter(examples)
    while some := list(islice(left, chunk)):
        yield from predict(tuned, some, problems, models=models, depth=depth, early=early)


def predict(
    tuned: FineTuned,
    examples: Sequence[Example],
    problems: Problems,
    *,
    models: Sequence[TaskModel] = (),
    depth: int | None = None,
    early: EarlyAnswers | None = None,
) -> Iterator[dict[str, Any]]:
    """The prediction of every example, with what the model gave the alternatives.

    `models` answer together; the model of `tuned` alone when left out. `depth` runs another number
    of layers; with `early` each runs as many as it takes, and the predictions say how many.
    """
    kind, layers = tuned.kind, []
    units = kind.units(examples, tuned.tokenizer, problems)
    if early is None:
        answers = answer_together(models or [tuned.model], kind, units, depth=depth)
    else:
        answers, layers = early(units)
    predictions = kind.predictions(answers, units)
    if isinstance(kind, Spans):
        questions = cast("Sequence[SpanExample]", examples)
        texts = kind.texts(predictions, questions)
        for example, text, found in zip(questions, texts, predictions, strict=True):
            line = {"id": example.id, **span_line(text, found)}
            yield line | {"alternatives": _alternatives(found, example)}
        return
    if isinstance(kind, Tags):
        of_words = kind.shares(answers, units)
        sentences = cast("Sequence[TaggedExample]", examples)
        for example, found, shares in zip(sentences, predictions, of_words, strict=True):
            words = list(example.words)
            line = {"id": example.id, "prediction": name_of(kind, found, example), "words": words}
            # a word without pieces has no probability
            sure = [shares.get(number) for number in range(len(words))]
            yield line | {"probabilities": [None if p is None else round(p, 6) for p in sure]}
        return
    for number, (example, found) in enumerate(zip(examples, predictions, strict=True)):
        line = {"id": example.id, "prediction": name_of(kind, found, example)}
        if kind.kind in ("classification", "multilabel"):
            shares = zip(kind.labels, answers[number], strict=True)
            line["probabilities"] = {name: round(share, 6) for name, share in shares}
        elif kind.kind == "choice":
            line["probabilities"] = [round(share, 6) for share in answers[number]]
        yield line | {"layers": layers[number]} if layers else line


def _alternatives(found: Any, example: Any) -> list[dict[str, Any]]:
    """Up to five spans of different texts with their shares among the likeliest 20."""
    if not found.candidates:
        return []
    best = found.candidates[0].score
    weights = [math.exp(candidate.score - best) for candidate in found.candidates]
    shares: dict[str, float] = {}
    for candidate, weight in zip(found.candidates, weights, strict=True):
        text = example.context[candidate.start : candidate.end]
        shares[text] = shares.get(text, 0.0) + weight / sum(weights)
    return [{"text": text, "probability": round(p, 6)} for text, p in list(shares.items())[:5]]
