"""Predictions by name instead of number: what people and other programs are given."""

from collections.abc import Iterator, Sequence
from typing import Any

from litebert.tasks.kinds import TaskKind
from litebert.tasks.spans import SpanAnswer, Spans
from litebert.tasks.tags import Tags


def named(kind: TaskKind, predictions: Sequence, examples: Sequence) -> Iterator[dict[str, Any]]:
    """Each prediction by id, with labels by name; rows that are labelled also say what is right."""
    if isinstance(kind, Spans):
        texts = kind.texts(predictions, examples)
        for example, text, found in zip(examples, texts, predictions, strict=True):
            yield {"id": example.id, **span_line(text, found)}
        return
    for example, found in zip(examples, predictions, strict=True):
        line = {"id": example.id, "prediction": name_of(kind, found, example)}
        label = getattr(example, "label", None)
        labels = getattr(example, "labels", None)
        if label is not None:
            line["label"] = name_of(kind, label, example)
        elif labels is not None:
            line["label"] = [kind.labels[tag] for tag in labels]
        yield line


def span_line(text: str, found: SpanAnswer) -> dict[str, Any]:
    """An answer with its likeliest span's place and the null score."""
    best = found.candidates[0] if found.candidates else None
    place = {} if best is None or not text else {"start": best.start, "end": best.end}
    return {"prediction": text, **place, "null_score": round(found.null, 4)}


def name_of(kind: TaskKind, value: Any, example: Any) -> Any:
    """A class, tag or option as its name; a score as it is."""
    if kind.kind == "regression":
        return value
    if kind.kind == "choice":
        return chr(ord("A") + value)
    if kind.kind == "multilabel":
        return [kind.labels[number] for number in value]
    if isinstance(kind, Tags):
        return kind.names(value, example)
    return kind.labels[value]
