"""Tagged words from CoNLL columns: a word and its tag on a line, empty lines between sentences."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from litebert.errors import InputError
from litebert.tasks.example import Dataset, TaggedExample
from litebert.tasks.problems import Problems
from litebert.tasks.table_files import LEFT_OUT

_Sentence = tuple[str, list[str], list[str] | None]


def read_conll(
    path: Path, problems: Problems, *, labels: Sequence[str] | None = None, labelled: bool = True
) -> Dataset:
    """Sentences of a CoNLL file: the word in the first column, the tag in the last.

    Columns end at tabs or spaces; -DOCSTART- lines count as empty. Without `labels` the tags of
    the file are the labels, "O" first and the rest in order of their letters; a sentence with a
    tag that is not among given labels goes to `problems`. Raises InputError for a file to be
    answered whose lines have not all as many columns as the first: that is text, not CoNLL.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file: check the path")
    sentences = list(_sentences(path, problems, labelled=labelled))
    if labels is None:
        found = {tag for _, _, tags in sentences for tag in tags or ()}
        labels = sorted(found, key=lambda tag: (tag != "O", tag))
        if labelled and len(labels) == 1:
            raise InputError(f"{path}: every word is tagged {labels[0]!r}: nothing to learn there")
    numbers = {tag: number for number, tag in enumerate(labels)}
    examples = []
    for count, (place, words, tags) in enumerate(sentences):
        unknown = [tag for tag in tags or () if tag not in numbers]
        if unknown:
            problems.report(place, "an unknown tag", found=unknown[0], done=LEFT_OUT)
            continue
        coded = None if tags is None else tuple(numbers[tag] for tag in tags)
        examples.append(TaggedExample(id=str(count), place=place, words=tuple(words), labels=coded))
    if not examples:
        raise InputError(f"{path}: holds no sentence that can be used")
    return Dataset("tagging", tuple(labels), examples)


def _sentences(path: Path, problems: Problems, *, labelled: bool) -> Iterator[_Sentence]:
    words: list[str] = []
    tags: list[str] = []
    begin, whole = 1, True
    number, width = 0, 0
    for number, line in enumerate(path.open("rb"), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
        except UnicodeDecodeError:
            problems.report(
                f"{path}:{number}", "text that is not UTF-8", done=f"sentence {LEFT_OUT}"
            )
            whole = False
            continue
        # a word may hold a space where tabs divide the columns
        columns = text.split("\t" if "\t" in text else None)
        if text and columns[0] != "-DOCSTART-":
            width = width or len(columns)
            if not labelled and len(columns) != width:
                raise InputError(
                    f"{path}:{number}: {len(columns)} columns where the first line has {width}: "
                    "give one word a line, or a CSV, TSV or JSONL file with a column of words"
                )
            if labelled and len(columns) < 2:
                what = "a word without a tag"
                problems.report(f"{path}:{number}", what, found=columns[0],
                                done=f"sentence {LEFT_OUT}")  # fmt: skip
                whole = False
                continue
            words.append(columns[0])
            tags.append(columns[-1])
            continue
        if words and whole:
            yield f"{path}:{begin}", words, tags if labelled else None
        words, tags, begin, whole = [], [], number + 1, True
    if words and whole:
        yield f"{path}:{begin}", words, tags if labelled else None
