"""SQuAD 1.1 and 2.0 from their official JSON files, and predictions in the scorer's format.

Rajpurkar et al. 2016 (arXiv 1606.05250) and 2018 (arXiv 1806.03822).
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.tasks.example import Answer, Dataset, SpanExample
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import LEFT_OUT


def read_squad(
    path: Path, problems: Problems, *, unanswerable: bool = True, learning: bool = False
) -> Dataset:
    """The questions of a SQuAD file; unanswerable ones have no answers.

    A question without answers goes to `problems` where `unanswerable` is False, as in 1.1. So does
    an answer that is not in its context at the place given: it still counts for scoring, but a
    question has to have one with a place for `learning`. Raises InputError for a file of another
    shape.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: is not JSON in UTF-8: {error}") from None
    try:
        found = list(_questions(document["data"], str(path), problems))
    except (KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: is not laid out as SQuAD is: {error!r}") from None
    examples = []
    for example in found:
        if not example.answers and not unanswerable:
            problems.report(example.place, "a question without an answer", done=LEFT_OUT)
        elif learning and example.answers and all(a.start is None for a in example.answers):
            problems.report(example.place, "no answer at its place", done=LEFT_OUT)
        else:
            examples.append(example)
    if not examples:
        raise InputError(f"{path}: holds no question that can be used")
    return Dataset("span", (), examples)


def _questions(articles: list, source: str, problems: Problems) -> Iterator[SpanExample]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            for row in paragraph["qas"]:
                place, question = f"{source}:{row['id']}", row["question"]
                if not all(isinstance(text, str) and text.strip() for text in (context, question)):
                    problems.report(place, "an empty question or context", done=LEFT_OUT)
                    continue
                given = [] if row.get("is_impossible") else row.get("answers", [])
                yield SpanExample(
                    id=str(row["id"]),
                    place=place,
                    question=question,
                    context=context,
                    answers=tuple(_answers(given, context, place, problems)),
                    group=article.get("title", ""),
                )


def _answers(given: list, context: str, place: str, problems: Problems) -> Iterator[Answer]:
    for answer in given:
        text, start = answer["text"], answer.get("answer_start")
        if text and start is not None and context[start : start + len(text)] == text:
            yield Answer(text=text, start=start)
        elif text:
            what = "an answer that is not in the context where it is said to be"
            problems.report(place, what, found=text, done="counts for scoring only")
            yield Answer(text=text, start=None)


def to_json(values: dict[str, Any]) -> bytes:
    """Text of predictions.json or null_odds.json: values by question id, for the scorer."""
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "replace")
