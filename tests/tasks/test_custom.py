"""A user's own rows: every kind from the columns named, every odd row named."""

import json
from pathlib import Path

import pytest

from litebert.errors import InputError
from litebert.tasks.columns import Columns
from litebert.tasks.custom import read_custom
from litebert.tasks.kinds import kind_of
from litebert.tasks.problems import Problems
from litebert.tasks.registry import task_of


def read(tmp_path, rows, kind, columns=None, **settings):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    problems = Problems()
    data = read_custom(path, kind, columns or Columns(), problems, **settings)
    return data, problems


def test_pairs_with_names_of_columns(tmp_path):
    columns = Columns(text="a", second="b", label="c", id="d")
    rows = [{"a": "x", "b": "y", "c": n, "d": f"id{n:g}"} for n in (10, 9, 9.0)]
    data, problems = read(tmp_path, rows, "classification", columns)
    assert data.labels == ("9", "10")
    assert [(e.id, e.first, e.second, e.label) for e in data.examples] == [
        ("id10", "x", "y", 1),
        ("id9", "x", "y", 0),
        ("id9", "x", "y", 0),
    ]
    assert not problems.lines()


def test_labels_of_the_training_rows_hold_for_all(tmp_path):
    rows = [{"text": "x", "label": "yes"}, {"text": "x", "label": "maybe"}, {"text": "x"}]
    with pytest.raises(InputError, match="no column 'label'"):
        read(tmp_path, rows[2:], "classification", labels=["no", "yes"])
    data, problems = read(tmp_path, rows, "classification", labels=["no", "yes"])
    assert [e.label for e in data.examples] == [1]
    assert sum(problems.counts.values()) == 2
    assert "rows.jsonl:2: 'maybe'" in " ".join(problems.first.values())


def test_scores(tmp_path):
    rows = [{"text": "x", "label": value} for value in (1, "2.5", "high", None, float("nan"))]
    data, problems = read(tmp_path, rows, "regression")
    assert [e.label for e in data.examples] == [1.0, 2.5]
    assert problems.counts["a score that is no number: left out"] == 3


def test_several_classes(tmp_path):
    rows = [{"text": "x", "label": value} for value in (["b", "a"], "b|c", [], "")]
    data, _ = read(tmp_path, rows, "multilabel")
    assert data.labels == ("a", "b", "c")
    assert [e.label for e in data.examples] == [(0, 1), (1, 2), (), ()]


def test_answers(tmp_path):
    base = {"context": "red, then red again", "question": "what?"}
    rows = [base | {"answer": text} for text in ("red", "again", "", None, "blue")]
    data, problems = read(tmp_path, rows, "span")
    starts = [[answer.start for answer in e.answers] for e in data.examples]
    assert starts == [[0], [14], [], []]
    assert "'blue'" in problems.lines()[0]
    columns = Columns(answer_start="at")
    data, problems = read(tmp_path, [base | {"answer": "red", "at": 10}], "span", columns)
    assert data.examples[0].answers[0].start == 10
    objects = [
        {"text": ["red", "again"], "answer_start": [10, 14]},
        {"text": [], "answer_start": []},
        {"text": ["red"], "answer_start": [1]},
        {"text": ["red"], "answer_start": []},
    ]
    data, problems = read(tmp_path, [base | {"answer": found} for found in objects], "span")
    assert [[answer.start for answer in e.answers] for e in data.examples] == [[10, 14], []]
    assert sum(problems.counts.values()) == 2


@pytest.mark.parametrize("label", ["B", "b", "1", 1, "snow"])
def test_options(tmp_path, label):
    row = {"context": "c", "question": "q", "options": ["rain", "snow"], "label": label}
    data, _ = read(tmp_path, [row], "choice")
    assert data.examples[0].label == 1
    apart = {"context": "c", "question": "q", "x": "rain", "y": "snow", "label": label}
    data, _ = read(tmp_path, [apart], "choice", Columns(options="x, y"))
    assert data.examples[0].options == ("rain", "snow")
    written = row | {"options": "['rain', 'snow']"}
    data, problems = read(
        tmp_path, [written, row | {"label": "C"}, row | {"options": "?"}], "choice"
    )
    assert len(data) == 1
    assert sum(problems.counts.values()) == 2


def test_tags(tmp_path):
    rows = [
        {"words": ["a", "b"], "tags": ["B-x", "O"]},
        {"words": "a b c", "tags": "O A-x O"},
        {"words": ["a"], "tags": ["O", "O"]},
        {"words": [], "tags": []},
    ]
    data, problems = read(tmp_path, rows, "tagging")
    assert data.labels == ("O", "A-x", "B-x")
    assert [e.labels for e in data.examples] == [(2, 0), (0, 1, 0)]
    assert sum(problems.counts.values()) == 2


def test_cells_that_are_no_text(tmp_path):
    base = {"context": "c", "question": "q", "label": "A"}
    rows = [base | {"options": ["x", "y"]}, base | {"options": ["x", None]}]
    data, problems = read(tmp_path, rows, "choice")
    assert len(data) == 1
    numbers = base | {"options": ["2", "3"], "label": 2}
    data, _ = read(tmp_path, [numbers], "choice")
    assert data.examples[0].label == 0  # an option's text before its place
    rows = [{"text": "x", "label": label} for label in ("a", "b", float("nan"), ["a"], "²", "3")]
    data, problems = read(tmp_path, rows, "classification")
    assert data.labels == ("3", "a", "b", "²")
    assert sum(problems.counts.values()) == 2
    rows = [{"words": "['a', 'b']", "tags": "['O', 'B-x']"}, {"words": None, "tags": None}]
    data, problems = read(tmp_path, rows, "tagging")
    assert [(e.words, e.labels) for e in data.examples] == [(("a", "b"), (0, 1))]
    assert sum(problems.counts.values()) == 1


def test_tags_of_every_word_are_no_spans(tmp_path):
    """Parts of speech: seqeval would take any tag for a chunk and find them all."""
    rows = [{"words": ["a", "b"], "tags": ["NOUN", "VERB"]}]
    data, _ = read(tmp_path, rows, "tagging")
    kind = kind_of("tagging", labels=data.labels, settings={})
    assert kind.score([{0: 0, 1: 0}], data.examples) == {"accuracy": 50}
    spans = kind_of("tagging", labels=["O", "B-x", "I-x"], settings={})
    assert spans.settings()["metrics"] == ["span_f1"]


def test_sets_of_the_hub(tmp_path):
    """A folder in the layout that the library reads as it reads the hub's."""
    pytest.importorskip("datasets")
    for split, count in (("train", 6), ("validation", 2)):
        rows = [{"text": f"text {n}", "label": "ab"[n % 2]} for n in range(count)]
        (tmp_path / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    splits = task_of("classify").read(Path(f"hf:{tmp_path}"), Problems(), Columns())
    assert (len(splits.train), len(splits.dev["dev"]), splits.train.labels) == (6, 2, ("a", "b"))
    with pytest.raises(InputError, match="the datasets library cannot get it"):
        task_of("classify").read(Path(f"hf:{tmp_path}/none"), Problems(), Columns())
