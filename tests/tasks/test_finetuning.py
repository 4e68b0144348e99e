"""Fine-tuning end to end on tiny models: every kind learns, is saved, predicts, goes on."""

import csv
import json
import random
import sys

import pytest

import litebert
from litebert.cli.main import main
from litebert.errors import InputError
from tiny_runs import WORDS, tiny_tokenizer

SHAPE = litebert.ModelConfig(
    hidden_size=32, heads=2, depth=2, inner_size=64, embedding_size=16, vocab_size=65,
    max_positions=128,
)  # fmt: skip


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    place = tmp_path_factory.mktemp("encoder")
    litebert.save(litebert.build(SHAPE, seed=1), tiny_tokenizer(place), place / "model")
    return place / "model"


def sentence(draw, length=8):
    return [draw.choice(WORDS) for _ in range(length)]


def write_rows(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def table(path, count, seed=0):
    """Texts that are "yes" where w1 stands in them."""
    draw = random.Random(seed)
    rows = []
    for _ in range(count):
        words = [word for word in sentence(draw) if word != "w1"]
        label = draw.random() < 0.5
        if label:
            words[draw.randrange(len(words))] = "w1"
        rows.append({"text": " ".join(words), "label": "yes" if label else "no"})
    return write_rows(path, rows)


def run(capsys, *argv):
    code = main([str(word) for word in argv])
    return code, capsys.readouterr()


FAST = ["lr=3e-3", "precision=fp32", "batch_size=16", "epochs=6", "evaluations=3", "--json"]


def test_a_table_of_two_columns(encoder, tmp_path, capsys):
    data = table(tmp_path / "data.csv", 400)
    output = tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    code, printed = run(capsys, *argv, *FAST, "--seeds", 2)
    assert code == 0
    result = json.loads(printed.out)
    scores = result["scores"]["dev"]["accuracy"]
    assert len(scores["values"]) == 2
    assert scores["median"] > 90
    assert "40 of 400 rows are set apart" in result["notes"][0]
    page = (output / "report.html").read_text()
    assert "What is taken for what" in page
    # done seeds are not done again, and give the same result
    before = (output / "seed-0/result.json").stat().st_mtime_ns
    code, printed = run(capsys, *argv, *FAST, "--seeds", 2)
    assert json.loads(printed.out) == result
    assert (output / "seed-0/result.json").stat().st_mtime_ns == before
    code, printed = run(capsys, *argv, *FAST[1:], "--seeds", 2)
    assert code == 2
    assert "holds another run (recipe.yaml differs)" in printed.err
    # the model that is kept, on the rows that were set apart
    code, printed = run(capsys, "evaluate", output, "--precision", "fp32", "--json")
    assert code == 0
    assert "40 of 400 rows are set apart" in printed.err
    again = json.loads(printed.out)["scores"]["dev"]["accuracy"]
    assert again in [pytest.approx(value) for value in scores["values"]]
    # predictions, from a file and from standard input
    ask = write_rows(tmp_path / "ask.csv", [{"text": "w3 w1 w4"}, {"text": "w3 w4"}])
    code, printed = run(capsys, "predict", output, ask)
    lines = [json.loads(line) for line in printed.out.splitlines()]
    assert [line["prediction"] for line in lines] == ["yes", "no"]
    assert lines[0]["probabilities"]["yes"] > 0.5
    assert sum(lines[0]["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_seeds_answer_together(encoder, tmp_path, capsys):
    data = table(tmp_path / "data.csv", 100)
    output = tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    assert run(capsys, *argv, *FAST, "steps=8", "--seeds", 2)[0] == 0
    rows = {}
    for name, words in {
        "both": [output / "seed-0", data, "--with", output / "seed-1"],
        0: [output / "seed-0", data],
        1: [output / "seed-1", data],
    }.items():
        code, printed = run(capsys, "predict", *words)
        assert code == 0
        lines = [json.loads(line) for line in printed.out.splitlines()]
        rows[name] = [line["probabilities"]["yes"] for line in lines]
    assert rows[0] != rows[1]
    means = [(a + b) / 2 for a, b in zip(rows[0], rows[1], strict=True)]
    assert rows["both"] == pytest.approx(means, abs=2e-6)
    code, printed = run(capsys, "evaluate", output, "--data", data, "--with", output / "seed-1",
                        "--json")  # fmt: skip
    assert code == 0
    assert "dev" not in json.loads(printed.out)["scores"]


def test_a_column_called_second_makes_pairs(encoder, tmp_path, capsys):
    draw = random.Random(3)
    # "yes" where the second text has w1: nothing to be learned from the first
    rows = [
        {"text": " ".join(sentence(draw)), "second": f"w2 {word}", "label": label}
        for _ in range(150)
        for word, label in (("w1", "yes"), ("w3", "no"))
    ]
    data, output = write_rows(tmp_path / "pairs.csv", rows), tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    code, printed = run(capsys, *argv, *FAST)
    assert code == 0
    assert json.loads(printed.out)["scores"]["dev"]["accuracy"]["median"] > 90
    code, printed = run(capsys, "predict", output, data)
    found = [json.loads(line)["prediction"] for line in printed.out.splitlines()]
    assert found == [row["label"] for row in rows]
    named = [{"premise": r["text"], "claim": r["second"], "says": r["label"]} for r in rows]
    other = write_rows(tmp_path / "named.csv", named)
    roles = ["--columns", "text=premise", "second=claim", "label=says"]
    code, printed = run(capsys, "predict", output, other, *roles[:3])
    assert [json.loads(line)["prediction"] for line in printed.out.splitlines()] == found
    code, printed = run(capsys, "evaluate", output, "--data", other, "--json", *roles)
    assert json.loads(printed.out)["scores"]["named"]["accuracy"] == 100
    alone = write_rows(tmp_path / "alone.csv", [{"text": "w1 w2"}])
    code, printed = run(capsys, "predict", output, alone)
    assert code == 2
    assert "alone.csv:2: one text, and the model reads pairs" in printed.err
    assert "--columns second=COLUMN" in printed.err


def test_depth_and_early_answers_from_the_command_line(encoder, tmp_path, capsys):
    data, output = table(tmp_path / "data.csv", 400), tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    assert run(capsys, *argv, *FAST, "every_depth=true")[0] == 0
    more = table(tmp_path / "more.csv", 400, seed=1)
    engine = litebert.Engine.load(output, precision="fp32")
    texts = [row["text"] for row in csv.DictReader(more.open())]

    def lines(*words):
        code, printed = run(capsys, "predict", output, more, *words)
        assert code == 0
        return [json.loads(line) for line in printed.out.splitlines()]

    def probabilities(found):
        return [line["probabilities"]["yes"] for line in found]

    expected = probabilities(engine.predict(texts, depth=1))
    found = probabilities(lines("--precision", "fp32", "--depth", 1))
    assert found == pytest.approx(expected, abs=2e-6)
    code, printed = run(capsys, "predict", output, more, "--early")
    assert code == 2
    assert "litebert exits calibrates early answers" in printed.err
    assert run(capsys, "exits", output, more, "--risk", 0.1, "--patience", 1,
               "--precision", "fp32")[0] == 0  # fmt: skip
    # in the arithmetic that they were calibrated in
    early = lines("--early")
    expected = litebert.Engine.load(output, precision="fp32").predict(texts, early=True)
    assert [line["layers"] for line in early] == [line["layers"] for line in expected]
    assert 1 in {line["layers"] for line in early}
    assert probabilities(early) == pytest.approx(probabilities(expected), abs=2e-6)
    code, printed = run(capsys, "predict", output, more, "--early", "--depth", 1)
    assert (code, printed.err.count("\n")) == (2, 1)


def test_standard_input_without_an_answer_is_an_error(encoder, tmp_path, capsys, monkeypatch):
    data, output = table(tmp_path / "data.csv", 60), tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    assert run(capsys, *argv, "steps=2", "evaluations=1")[0] == 0
    for text in (b"", b"plain text\n"):
        monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": text.splitlines(True)}))
        code, printed = run(capsys, "predict", output, "-")
        assert code == 2
        assert "no row of it can be answered" in printed.err


def test_standard_input_and_bad_rows(encoder, tmp_path, capsys, monkeypatch):
    data = table(tmp_path / "data.csv", 60)
    output = tmp_path / "run"
    argv = ["finetune", "classify", "--model", encoder, "--data", data, "--output", output]
    assert run(capsys, *argv, "steps=2", "evaluations=1")[0] == 0
    text = b'{"text": "w1 w2"}\nnot json\n{"text": ""}\n{"text": "w5"}\n'
    monkeypatch.setattr(sys, "stdin", type("Stdin", (), {"buffer": text.splitlines(True)}))
    code, printed = run(capsys, "predict", output, "-")
    assert code == 0
    assert [json.loads(line)["id"] for line in printed.out.splitlines()] == ["1", "4"]
    assert "standard input:2" in printed.err
    assert "an empty text" in printed.err


@pytest.fixture(scope="module")
def spoken(tmp_path_factory):
    """Files of every kind whose answers follow a rule that a tiny model can learn."""
    place, draw = tmp_path_factory.mktemp("data"), random.Random(7)
    rows = {name: [] for name in ("regress", "multilabel", "choose", "tag", "answer")}
    for _ in range(300):
        words = sentence(draw, 6)
        text = " ".join(words)
        numbers = [int(word[1:]) for word in words]
        rows["regress"].append({"text": text, "label": float(numbers[0] >= 30)})
        several = [name for name, mark in (("a", 5), ("b", 40)) if min(numbers) < mark]
        rows["multilabel"].append({"text": text, "label": several})
        right = draw.randrange(3)
        options = [draw.choice(WORDS[30:]) for _ in range(3)]
        options[right] = draw.choice(WORDS[:30])
        rows["choose"].append(
            {"context": text, "question": "w2", "options": options, "label": "ABC"[right]}
        )
        tags = ["B-x" if number < 30 else "O" for number in numbers]
        rows["tag"].append({"words": words, "tags": tags})
        low = [word for word in words if int(word[1:]) < 10]
        rows["answer"].append({"context": text, "question": "w2", "answer": low[0] if low else ""})
    for name, made in rows.items():
        lines = "".join(json.dumps(row) + "\n" for row in made)
        (place / f"{name}.jsonl").write_text(lines)
    return place


@pytest.mark.parametrize(
    ("task", "metric", "least"),
    [
        ("regress", "pearson", 60),
        ("multilabel", "micro_f1", 70),
        ("choose", "accuracy", 70),
        ("tag", "span_f1", 70),
        ("answer", "f1", 50),
    ],
)
def test_every_kind_learns(encoder, spoken, tmp_path, capsys, task, metric, least):
    argv = ["finetune", task, "--model", encoder, "--data", spoken / f"{task}.jsonl"]
    code, printed = run(capsys, *argv, "--output", tmp_path / "run", *FAST, "epochs=12")
    assert code == 0
    assert json.loads(printed.out)["scores"]["dev"][metric]["median"] > least
    rows = (spoken / f"{task}.jsonl").read_text().splitlines()[:5]
    ask = tmp_path / "ask.jsonl"
    ask.write_text("\n".join(rows))
    code, printed = run(capsys, "predict", tmp_path / "run", ask)
    assert code == 0
    assert len(printed.out.splitlines()) == 5


def test_paper_head_is_saved_and_answers(encoder, spoken, tmp_path, capsys):
    argv = ["finetune", "answer", "--model", encoder, "--data", spoken / "answer.jsonl"]
    code, printed = run(capsys, *argv, "--output", tmp_path / "run", *FAST, "paper_head=true")
    assert code == 0
    assert "f1_unanswerable" in json.loads(printed.out)["scores"]["dev"]
    code, printed = run(capsys, "predict", tmp_path / "run", spoken / "answer.jsonl")
    assert code == 0
    texts = [json.loads(line)["prediction"] for line in printed.out.splitlines()]
    assert len(texts) == 300
    assert "" in texts


def test_stopped_seed_goes_on_as_if_it_had_not_been(encoder, tmp_path, capsys, monkeypatch):
    from litebert.train.finetune import FineTuning

    data = table(tmp_path / "data.csv", 100)
    argv = ["finetune", "classify", "--model", encoder, "--data", data, *FAST, "steps=12"]
    code, printed = run(capsys, *argv, "--output", tmp_path / "whole")
    whole = json.loads(printed.out)["scores"]
    step = FineTuning._step

    def stopping(self, units):
        if self.progress.step == 6:
            self.stop.signal = 15
        return step(self, units)

    monkeypatch.setattr(FineTuning, "_step", stopping)
    assert run(capsys, *argv, "--output", tmp_path / "parts")[0] == 143
    monkeypatch.setattr(FineTuning, "_step", step)
    code, printed = run(capsys, *argv, "--output", tmp_path / "parts")
    assert code == 0
    assert json.loads(printed.out)["scores"] == whole
    same = [
        (tmp_path / name / "model/model.safetensors").read_bytes() for name in ("whole", "parts")
    ]
    assert same[0] == same[1]


@pytest.mark.parametrize(
    ("rows", "extra", "message"),
    [
        ([{"text": "w1", "label": "yes"}] * 4, [], "one label 'yes': nothing can"),
        ([{"review": "w1", "label": name} for name in "ab"], [], "no column 'text' for the text"),
        ([{"text": "w1", "label": ""}], [], "nothing can be learned"),
        ([{"text": "w1", "label": "a"}, {"text": "", "label": "b"}] * 9, ["--strict"], ":3: an em"),
        ([{"text": "w1", "label": "a"}, {"text": "w2", "label": "b"}] * 9, ["lr=x"], "lr='x' must"),
        ([{"text": f"w{n} w{n}", "label": "ab"[n % 2]} for n in range(18)],
         ["max_length=512"], "more than the 128 positions"),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(encoder, tmp_path, capsys, rows, extra, message):
    data = write_rows(tmp_path / "data.csv", rows)
    argv = ["finetune", "classify", "--model", encoder, "--data", data, *extra]
    code, printed = run(capsys, *argv, "--output", tmp_path / "run")
    assert code == 2
    assert message in printed.err
    assert len(printed.err.strip().splitlines()) == 1


def test_every_depth_learns_and_sure_answers_come_early(encoder, tmp_path, capsys):
    data = table(tmp_path / "data.csv", 400)
    argv = ["finetune", "classify", "--model", encoder, "--data", data, *FAST]
    assert run(capsys, *argv, "--output", tmp_path / "plain")[0] == 0
    assert run(capsys, *argv, "every_depth=true", "--output", tmp_path / "every")[0] == 0
    rows = [row["text"] for row in csv.DictReader((tmp_path / "data.csv").open())]
    labels = [row["label"] for row in csv.DictReader((tmp_path / "data.csv").open())]

    def right(name, **how):
        found = litebert.Engine.load(tmp_path / name, precision="fp32").predict(rows, **how)
        return sum(line["prediction"] == label for line, label in zip(found, labels, strict=True))

    assert right("every", depth=1) > max(380, right("plain", depth=1))
    more = table(tmp_path / "more.csv", 300, seed=1)
    ask = ["exits", tmp_path / "every", more, "--precision", "fp32", "--risk", "0.05",
           "--patience", "1"]  # fmt: skip
    code, printed = run(capsys, *ask, "--json")
    assert code == 0
    said = json.loads(printed.out)
    assert said["exits"]["rows"] == said["other_half"]["rows"] == 150
    assert said["exits"]["mean_layers"] < 2
    place = tmp_path / "every/model"
    assert (place / "exits.json").is_file()
    assert "at most 5.00% of the answers differ" in (place / "README.md").read_text()
    code, printed = run(capsys, *ask)
    assert code == 0
    assert "checked on" in printed.out
    assert (place / "README.md").read_text().count("## Early answers") == 1
    assert right("every", early=True) > 380


def test_every_depth_is_the_weighted_loss_of_models_of_each_depth(encoder, tmp_path):
    from litebert.interop.load import load
    from litebert.model.task_heads import TaskModel, initialise
    from litebert.tasks.kinds import kind_of
    from litebert.tasks.units import TokenSequence, Unit, collate
    from litebert.train.finetune import FineTuning
    from litebert.train.finetune_recipe import FinetuneRecipe

    kind = kind_of("classification", labels=["no", "yes"], settings={})
    model = TaskModel(load(encoder), kind.head(SHAPE, 0.0)).eval()
    initialise(model.head, deviation=0.5, seed=1)
    units = [Unit(n, (TokenSequence([2, 7 + n, 3], 3),), n % 2) for n in range(4)]
    training = FineTuning(FinetuneRecipe(every_depth=True, dropout=0.0), model, kind, units,
                          seed=0, output=tmp_path, evaluate=dict)  # fmt: skip
    found = float(training._loss(units).detach())
    losses = []
    for depth in (1, 2):
        losses.append(float(kind.loss(model(collate(units), depth=depth), units).detach()))
    assert found == pytest.approx((losses[0] + 2 * losses[1]) / 3, rel=1e-6)
    spans = kind_of("span", settings={})
    asked = TaskModel(load(encoder), spans.head(SHAPE, 0.0))
    with pytest.raises(InputError, match="labels and options"):
        FineTuning(training.recipe, asked, spans, units, seed=0, output=tmp_path, evaluate=dict)
