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


def read_squad(path: Path, problems: Problems) -> Dataset:
    """The questions of a SQuAD file, 1.1 or 2.0; unanswerable ones have no answers.

    Raises InputError for a file of another shape. An answer that is not in its context at the
    place given goes to `problems` and the question keeps its other answers; one that loses all is
    left out.
    """
    try:
        document = json.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path}: is not JSON in UTF-8: {error}") from None
    try:
        examples = list(_questions(document["data"], str(path), problems))
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: is not laid out as SQuAD is: {error!r} is missing") from None
    if not examples:
        raise InputError(f"{path}: holds no question that can be used")
    return Dataset("span", (), examples)


def _questions(articles: list, source: str, problems: Problems) -> Iterator[SpanExample]:
    for article in articles:
        for paragraph in article["paragraphs"]:
            context = paragraph["context"]
            for question in paragraph["qas"]:
                place = f"{source}:{question['id']}"
                given = [] if question.get("is_impossible") else question.get("answers", [])
                answers = tuple(_answers(given, context, place, problems))
                if given and not answers:
                    continue
                yield SpanExample(
                    id=question["id"],
                    place=place,
                    question=question["question"],
                    context=context,
                    answers=answers,
                    group=article.get("title", ""),
                )


def _answers(given: list, context: str, place: str, problems: Problems) -> Iterator[Answer]:
    for answer in given:
        text, start = answer["text"], answer["answer_start"]
        if text and context[start : start + len(text)] == text:
            yield Answer(text=text, start=start)
        else:
            what = "an answer that is not in the context where it is said to be"
            problems.report(place, what, found=text, done=f"that answer {LEFT_OUT}")


def to_json(values: dict[str, Any]) -> bytes:
    """Text of predictions.json or null_odds.json: values by question id, for the scorer."""
    return (json.dumps(values, ensure_ascii=False, indent=2) + "\n").encode()
