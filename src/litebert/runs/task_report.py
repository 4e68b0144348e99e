"""report.html of a fine-tuning run: scores, learning curves, what is confused, what to read.

Made from results.json, task.json, recipe.yaml and the seeds' files, so it can be written again at
any time. The seed that was kept is shown row by row.
"""

import json
import re
from collections import Counter
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from litebert.files import write_atomically
from litebert.runs.drawing import GRID, HELD_OUT, TRAIN, drawing_style, in_page
from litebert.runs.page import halves, page, section, table
from litebert.tasks.example import ChoiceExample, Example, SpanExample, TaggedExample, TextExample
from litebert.tasks.kinds import TaskKind
from litebert.tasks.naming import name_of
from litebert.tasks.published import published
from litebert.tasks.spans import Spans
from litebert.tasks.squad_score import question_scores
from litebert.tasks.tags import Tags
from litebert.train.events import read_events

# Errors shown, and letters of a long text in each.
ERRORS, LETTERS = 20, 400
# Classes drawn as a matrix; more cannot be read.
CLASSES = 20
QUESTION_WORDS = re.compile(r"\b(how many|how much|how|what|which|who|when|where|why)\b")


def write_task_report(
    directory: Path,
    *,
    kind: TaskKind,
    predictions: Sequence,
    answers: Sequence,
    examples: Sequence[Example],
) -> Path:
    """Write report.html from the files of a run and the rows of its kept seed.

    `answers` are what `kind.answers` gave for examples of one unit, by which errors are sorted:
    the surest first.
    """
    results = json.loads((directory / "results.json").read_text())
    described = json.loads((directory / "task.json").read_text())
    recipe = (directory / "recipe.yaml").read_text()
    sections = [
        f"<h1>{escape(described['task'])}</h1>"
        f'<p class="soft">{escape(described["model"])} on {escape(described["data"])}</p>',
        _scores(results["scores"]),
        section("Learning curves", _curves(directory)),
        _confusion(kind, predictions, examples),
        _by_question(kind, predictions, examples),
        _errors(kind, predictions, answers, examples),
        _published(described["task"]),
        _problems(results),
        section("Recipe", f'<div class="panel"><pre>{escape(recipe)}</pre></div>'),
    ]
    title = f"{described['task']}: {Path(described['model']).name}"
    footer = "Written by litebert from results.json, recipe.yaml and the seeds beside this page."
    path = directory / "report.html"
    write_atomically(path, page(title, sections, footer=footer).encode("utf-8", "replace"))
    return path


def _scores(scores: dict[str, dict[str, dict[str, Any]]]) -> str:
    tiles = []
    for split, metrics in scores.items():
        for name, value in metrics.items():
            count = len(value["values"])
            spread = "one seed"
            if count > 1:
                spread = f"median of {count} seeds, [{value['low']:.2f}, {value['high']:.2f}]"
            tiles.append(
                f'<div class="tile"><b>{value["median"]:.2f}</b>'
                f"<span>{escape(split)} {escape(name)}: {spread}</span></div>"
            )
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _curves(directory: Path) -> str:
    """The first metric on the selection rows over steps, a line a seed; and the training loss."""
    from matplotlib.figure import Figure

    seeds = sorted(directory.glob("seed-*/events.jsonl"))
    runs = [[e for e in read_events(p) if e["event"] == "evaluation"] for p in seeds]
    runs = [run for run in runs if run]
    if not runs:
        return "<p>No evaluation was logged.</p>"
    metric = next(iter(runs[0][0]["scores"]))
    drawn = []
    values = {
        f"{metric} on the selection rows": lambda event: event["scores"][metric],
        "training loss since the evaluation before": lambda event: event["loss"],
    }
    with drawing_style():
        for title, value in values.items():
            figure = Figure(figsize=(5.2, 2.9), layout="constrained")
            axes = figure.add_subplot()
            for run in runs:
                points = [(event["step"], value(event)) for event in run]
                axes.plot(*zip(*points, strict=True), color=HELD_OUT, marker="o", markersize=4)
            axes.set_xlabel("steps")
            drawn.append(f"<figure><h3>{escape(title)}</h3>{in_page(figure, title)}</figure>")
    return f'<div class="curves">{"".join(drawn)}</div>'


def _confusion(kind: TaskKind, predictions: Sequence, examples: Sequence) -> str:
    if kind.kind != "classification" or len(kind.labels) > CLASSES:
        return ""
    counts = Counter(
        (example.label, found) for example, found in zip(examples, predictions, strict=True)
    )
    import numpy as np
    from matplotlib.figure import Figure
    from matplotlib.patches import Rectangle

    size = len(kind.labels)
    matrix = np.array([[counts[right, found] for found in range(size)] for right in range(size)])
    shares = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    with drawing_style():
        figure = Figure(figsize=(1.6 + 0.8 * size, 1.2 + 0.6 * size), layout="constrained")
        axes = figure.add_subplot()
        # the page's own colours cannot be mixed, so a cell is a square whose side shows the share
        for right in range(size):
            for found in range(size):
                side = 0.9 * float(np.sqrt(shares[right, found]))
                colour = HELD_OUT if right == found else TRAIN
                axes.add_patch(
                    Rectangle((found - side / 2, right - side / 2), side, side, color=colour)
                )
                axes.text(found, right, f"{matrix[right, found]:,}", ha="center", va="center")
        axes.set_xlim(-0.5, size - 0.5)
        axes.set_ylim(size - 0.5, -0.5)
        axes.set_xticks(range(size), kind.labels)
        axes.set_yticks(range(size), kind.labels)
        axes.set_xlabel("predicted")
        axes.set_ylabel("right")
        axes.grid(visible=False)
        for edge in axes.spines.values():
            edge.set_color(GRID)
        drawing = in_page(figure, "confusion")
    return section("What is taken for what", f"<figure>{drawing}</figure>")


def _by_question(kind: TaskKind, predictions: Sequence, examples: Sequence) -> str:
    """Exact match and F1 by the word that asks."""
    if not isinstance(kind, Spans):
        return ""
    texts = kind.texts(predictions, examples)
    groups: dict[str, list[tuple[float, float]]] = {}
    for example, text in zip(examples, texts, strict=True):
        scored = question_scores(example, text, unanswerable=kind.unanswerable)
        groups.setdefault(_asks(example), []).append(scored)
    rows = [
        (
            name,
            f"F1 {100 * sum(f for _, f in found) / len(found):.1f}, "
            f"exact {100 * sum(e for e, _ in found) / len(found):.1f}",
            f"{len(found):,} questions",
        )
        for name, found in sorted(groups.items(), key=lambda item: -len(item[1]))
    ]
    return section("By kind of question", halves(rows))


def _asks(example: SpanExample) -> str:
    if not example.answers:
        return "unanswerable"
    found = QUESTION_WORDS.search(example.question.lower())
    return found.group() if found else "other"


def _errors(kind: TaskKind, predictions: Sequence, answers: Sequence, examples: Sequence) -> str:
    wrong = []
    for number, (example, found) in enumerate(zip(examples, predictions, strict=True)):
        how_wrong = _badness(kind, found, answers[number] if answers else None, example)
        if how_wrong > 0:
            wrong.append((how_wrong, example, found))
    wrong.sort(key=lambda row: -row[0])
    if not wrong:
        return ""
    rows = []
    for _, example, found in wrong[:ERRORS]:
        if isinstance(kind, Spans):
            said = kind.texts([found], [example])[0]
        else:
            said = name_of(kind, found, example)
        rows.append(
            (example.id, _shown(example), f"said {said!r}, right {_right(kind, example)!r}")
        )
    text = f"{len(wrong):,} of {len(examples):,} rows are wrong; the worst {len(rows)}:"
    if kind.kind == "regression":
        text = f"The {len(rows)} rows that are furthest off:"
    return section("Errors to read", f'<p>{text}</p><div class="panel">{table(rows)}</div>')


def _badness(kind: TaskKind, found: Any, answer: Any, example: Any) -> float:
    """0 for a right row, else the more the surer the model was, or the further off."""
    if isinstance(kind, Spans):
        texts = kind.texts([found], [example])
        return 1 - question_scores(example, texts[0], unanswerable=kind.unanswerable)[1]
    if isinstance(kind, Tags):
        said, right = kind.names(found, example), _right(kind, example)
        return sum(a != b for a, b in zip(said, right, strict=True))
    if kind.kind == "regression":
        return abs(found - example.label)
    if found == example.label:
        return 0.0
    return max(answer) if answer else 1.0


def _shown(example: Any) -> str:
    if isinstance(example, TextExample):
        text = example.first if example.second is None else f"{example.first} / {example.second}"
    elif isinstance(example, SpanExample):
        text = f"{example.question} / {example.context}"
    elif isinstance(example, ChoiceExample):
        text = f"{example.question} {' | '.join(example.options)}"
    else:
        text = " ".join(example.words)
    return text if len(text) <= LETTERS else f"{text[: LETTERS - 3]}..."


def _right(kind: TaskKind, example: Any) -> Any:
    if isinstance(example, SpanExample):
        return example.answers[0].text if example.answers else ""
    if isinstance(example, TaggedExample):
        return [kind.labels[tag] for tag in example.labels or ()]
    return name_of(kind, example.label, example)


def _published(task: str) -> str:
    rows = [(row.model, f"{row.metric} {row.value:.1f}", row.source) for row in published(task)]
    if not rows:
        return ""
    note = (
        '<p class="soft">Single runs on the full data, the checkpoint chosen on the very '
        "development rows; rows set apart choose lower.</p>"
    )
    return section("Published for this task", note + f'<div class="panel">{table(rows)}</div>')


def _problems(results: dict[str, Any]) -> str:
    lines = [*results["notes"], *results["problems"]]
    if not lines:
        return ""
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return section("Rows of the data", f"<ul>{items}</ul>")
