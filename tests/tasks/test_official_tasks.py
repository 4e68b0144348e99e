"""Every task of the paper from its official files, with a small model and a few steps.

The scores that the command prints are computed again from the predictions it wrote, by
definitions of our own (definitions.py, and SQuAD's here).
"""

import json
import re
import string
from collections import Counter

import numpy as np
import pytest
from definitions import accuracy, f1, matthews, pearson, span_f1, spearman

import litebert
from litebert.cli.main import main
from shared_data import SHARED

SHAPE = litebert.ModelConfig(
    hidden_size=32, heads=2, depth=2, inner_size=64, embedding_size=16, vocab_size=30000
)


@pytest.fixture(scope="module")
def encoder(albert, tmp_path_factory):
    place = tmp_path_factory.mktemp("encoder")
    litebert.save(litebert.build(SHAPE, seed=1), albert, place)
    return place


def fine_tuned(task, data, encoder, output, capsys, *extra):
    argv = ["finetune", task, "--model", encoder, "--data", SHARED / data, "--output", output]
    argv += ["steps=6", "evaluations=2", "lr=1e-3", "precision=fp32", "--json", *extra]
    assert main([str(word) for word in argv]) == 0
    printed = capsys.readouterr()
    result = json.loads(printed.out)
    longer = ("cut to", "tagged in parts")
    assert all(any(rule in line for rule in longer) for line in result["problems"])
    scores = {
        split: {name: value["median"] for name, value in metrics.items()}
        for split, metrics in result["scores"].items()
    }
    rows = {
        path.stem: [json.loads(line) for line in path.read_text().splitlines()]
        for path in (output / "seed-0/predictions").glob("*.jsonl")
    }
    return scores, rows


def answers(rows):
    return [row["prediction"] for row in rows], [row["label"] for row in rows]


GLUE = {
    "cola": {"matthews": matthews, "accuracy": accuracy},
    "sst-2": {"accuracy": accuracy},
    "mrpc": {"accuracy": accuracy, "f1": f1},
    "sts-b": {"pearson": pearson, "spearman": spearman},
    "qqp": {"accuracy": accuracy, "f1": f1},
    "mnli": {"accuracy": accuracy},
    "qnli": {"accuracy": accuracy},
    "rte": {"accuracy": accuracy},
    "wnli": {"accuracy": accuracy},
}


@pytest.mark.parametrize("task", GLUE)
def test_glue(task, encoder, tmp_path, capsys):
    scores, rows = fine_tuned(task, "glue", encoder, tmp_path / "run", capsys)
    split = "dev_matched" if task == "mnli" else "dev"
    assert set(scores) == {split}
    found, truth = answers(rows[split])
    expected = {name: function(found, truth) for name, function in GLUE[task].items()}
    assert scores[split] == pytest.approx(expected, abs=1e-6)
    assert list(scores[split]) == list(expected)


def official_words(text):
    text = "".join(letter for letter in text.lower() if letter not in string.punctuation)
    return re.sub(r"\b(a|an|the)\b", " ", text).split()


def official_squad(data, predictions):
    """Exact match and F1, question by question, as the task's papers describe them."""
    exacts, f1s = [], []
    for article in data["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                found = official_words(predictions[question["id"]])
                truths = [official_words(answer["text"]) for answer in question["answers"]]
                truths = [words for words in truths if words] or [[]]
                exacts.append(max(found == words for words in truths))
                best = 0.0
                for words in truths:
                    common = sum((Counter(found) & Counter(words)).values())
                    if not found or not words:
                        best = max(best, float(found == words))
                    elif common:
                        p, r = common / len(found), common / len(words)
                        best = max(best, 2 * p * r / (p + r))
                f1s.append(best)
    return {"exact": 100 * np.mean(exacts), "f1": 100 * np.mean(f1s)}


@pytest.mark.parametrize(
    ("version", "extra"), [("1.1", []), ("2.0", []), ("2.0", ["paper_head=true"])]
)
def test_squad(version, extra, encoder, tmp_path, capsys):
    scores, _ = fine_tuned(f"squad-{version}", "squad", encoder, tmp_path / "run", capsys, *extra)
    data = json.loads((SHARED / f"squad/v{version}/dev-v{version}.json").read_text())
    place = tmp_path / "run/seed-0/predictions/dev-predictions.json"
    expected = official_squad(data, json.loads(place.read_text()))
    found = {name: scores["dev"][name] for name in expected}
    assert found == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("data", ["race/RACE", "race/DREAM"])
def test_race(data, encoder, tmp_path, capsys):
    extra = ["max_length=128", "batch_size=4"]
    scores, rows = fine_tuned("race", data, encoder, tmp_path / "run", capsys, *extra)
    assert scores["dev"]["accuracy"] == pytest.approx(accuracy(*answers(rows["dev"])))
    if data == "race/RACE":
        assert scores["dev"]["accuracy_high"] == scores["dev"]["accuracy"]


def test_tagging(encoder, tmp_path, capsys):
    # enough steps that some entity is predicted
    extra = ["steps=60", "lr=5e-3", "batch_size=32"]
    scores, rows = fine_tuned("tag", "ner/wnut17", encoder, tmp_path / "run", capsys, *extra)
    expected = span_f1(*answers(rows["dev"]))
    assert scores["dev"]["span_f1"] == pytest.approx(expected, abs=1e-6)
    (tmp_path / "asked.jsonl").write_text('{"words": ["Barack", "Obama", "\u200b", "sings"]}\n')
    assert main(["predict", str(tmp_path / "run"), str(tmp_path / "asked.jsonl")]) == 0
    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert line["words"] == ["Barack", "Obama", "\u200b", "sings"]
    assert len(line["prediction"]) == 4
    sure = line["probabilities"]
    assert sure[2] is None
    assert all(0 < share <= 1 for share in sure[:2] + sure[3:])


def test_evaluate_gives_the_same_scores(encoder, tmp_path, capsys):
    scores, _ = fine_tuned("mrpc", "glue", encoder, tmp_path / "run", capsys)
    assert main(["evaluate", str(tmp_path / "run"), "--precision", "fp32", "--json"]) == 0
    again = json.loads(capsys.readouterr().out)["scores"]
    assert again["dev"] == pytest.approx(scores["dev"], abs=1e-6)


def test_a_task_begins_with_another_ones_model(encoder, tmp_path, capsys):
    fine_tuned("mnli", "glue", encoder, tmp_path / "mnli", capsys)
    argv = ["finetune", "rte", "--model", tmp_path / "mnli", "--data", SHARED / "glue",
            "--output", tmp_path / "rte", "steps=2", "evaluations=1", "--json"]  # fmt: skip
    assert main([str(word) for word in argv]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "the head of mnli is left out: classifier.bias, classifier.weight" in notes
