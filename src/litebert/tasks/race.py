"""RACE and DREAM: multiple choice about a passage, any number of options.

Lai et al. 2017 (arXiv 1704.04683). Read from RACE's own layout of one JSON file an article, or from
files with one JSON object a line, as google-research/albert expects and DREAM comes here.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from litebert.errors import InputError
from litebert.tasks.example import ChoiceExample, Dataset
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import LEFT_OUT

LEVELS = ("middle", "high")


def read_race(path: Path, problems: Problems, *, labelled: bool = True) -> Dataset:
    """The questions of a split: a file, a folder of files, or a folder with middle/ and high/.

    Ids begin with the level, which the score is also given by. Raises InputError when there is no
    question.
    """
    files = (
        [path] if path.is_file() else sorted(path.rglob("*.txt")) + sorted(path.rglob("*.jsonl"))
    )
    examples = [
        example for file in files for example in _questions(file, problems, labelled=labelled)
    ]
    if not examples:
        raise InputError(f"{path}: no questions of multiple choice: expected .txt or .jsonl files")
    return Dataset("choice", (), examples)


def level_of(example: ChoiceExample) -> str | None:
    """middle or high, when the id says so."""
    level = example.id.split("/")[0]
    return level if level in LEVELS else None


def _questions(file: Path, problems: Problems, *, labelled: bool) -> Iterator[ChoiceExample]:
    level = f"{file.parent.name}/" if file.parent.name in LEVELS else ""
    for number, line in enumerate(file.open("rb"), 1):
        place = f"{file}:{number}"
        if not line.strip():
            continue
        try:
            article = json.loads(line.decode("utf-8"))
            passage, questions, choices = (article[k] for k in ("article", "questions", "options"))
            answers = article["answers"] if labelled else [None] * len(questions)
            rows = list(zip(questions, choices, answers, strict=True))
            if not _is_text(passage) or not all(map(_is_text, questions)):
                raise ValueError("an article or question that is empty or no text")
        except (ValueError, KeyError, TypeError) as error:  # ValueError: encoding, JSON, lengths
            problems.report(place, "an article that is not laid out as RACE's", found=str(error),
                            done=LEFT_OUT)  # fmt: skip
            continue
        for count, (question, options, answer) in enumerate(rows):
            letter = "" if answer is None else str(answer).strip().upper()
            label = None if answer is None else ord(letter) - ord("A") if len(letter) == 1 else -1
            if not isinstance(options, list) or len(options) < 2 or not all(map(_is_text, options)):
                problems.report(place, "fewer than two options, or an empty one", found=options,
                                done=LEFT_OUT)  # fmt: skip
                continue
            if label is not None and not 0 <= label < len(options):
                problems.report(place, "an answer that is none of its options", found=answer,
                                done=LEFT_OUT)  # fmt: skip
                continue
            yield ChoiceExample(
                id=f"{level}{article.get('id', f'{file.stem}-{number}')}-{count}",
                place=place,
                passage=passage,
                question=question,
                options=tuple(options),
                label=label,
            )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())
