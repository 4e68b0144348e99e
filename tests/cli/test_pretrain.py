"""`litebert pretrain` from text to a model that transformers loads and scores alike."""

import json
import random
import runpy
from pathlib import Path

import pytest

from litebert import load
from litebert.cli.main import main
from litebert.text.prepare import prepare
from litebert.text.vocabulary import train_tokenizer
from litebert.train.events import read_events

SCRIPT = Path(__file__).parents[2] / "benchmarks/heldout_loss.py"
NOUNS = "cat dog river mountain teacher engine garden letter window market song winter".split()
VERBS = "sees follows paints forgets carries answers breaks finds loves hides".split()
SHAPES = {
    "albert": {"hidden_size": 32, "embedding_size": 16, "depth": 3},
    "bert": {
        "hidden_size": 32,
        "embedding_size": 32,
        "depth": 2,
        "sharing": "none",
        "embedding_projection": False,
    },
}


def documents(count: int, *, seed: int) -> list[list[list[str]]]:
    draw = random.Random(seed)
    return [
        [
            [f"The {draw.choice(NOUNS)} {draw.choice(VERBS)} the {draw.choice(NOUNS)}."]
            for _ in range(draw.randint(1, 12))
        ]
        for _ in range(count)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Shards train/ and valid/ in a vocabulary trained on their text."""
    place = tmp_path_factory.mktemp("pretrain")
    train = documents(300, seed=1)
    lines = [text for document in train for (text,) in document]
    tokenizer = train_tokenizer(lines, vocab_size=55)
    prepare(train, tokenizer=tokenizer, output=place / "train")
    prepare(documents(100, seed=2), tokenizer=tokenizer, output=place / "valid")
    return place


def recipe(place: Path, **changes: object) -> list[str]:
    fields = {
        "data": place / "train",
        "valid": place / "valid",
        "batch_tokens": 1024,
        "max_length": 64,
        "steps": 100,
        "lr": 0.01,
        "muon_lr": 0.01,
        "evaluations": 2,
        "evaluation_batches": 1,
        "precision": "fp32",
    }
    return [f"{name}={value}" for name, value in {**fields, **changes}.items()]


@pytest.mark.parametrize("shape", SHAPES)
def test_from_shards_to_a_model_of_transformers(place, tmp_path, capsys, monkeypatch, shape):
    pytest.importorskip("transformers")
    (tmp_path / "shape.json").write_text(
        json.dumps({"heads": 2, "inner_size": 64, **SHAPES[shape]})
    )
    output = tmp_path / "run"
    argv = ["pretrain", *recipe(place, model=tmp_path / "shape.json"), "--output", str(output)]
    assert main([*argv, "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["step"] == 100
    assert result["tokens"] == 100 * 1024
    assert {path.name for path in output.iterdir()} == {
        "recipe.yaml", "events.jsonl", "checkpoints", "model", "report.html", "examples.json",
        "tensorboard",
    }  # fmt: skip
    expected = {"config.json", "model.safetensors", "README.md", "tokenizer.json"}
    assert expected <= {path.name for path in Path(result["model"]).iterdir()}
    assert load(result["model"]).config.depth == SHAPES[shape]["depth"]

    events = read_events(output / "events.jsonl")
    assert [event["event"] for event in events if event["event"] != "step"] == [
        "start", "evaluation", "evaluation", "checkpoint", "end",
    ]  # fmt: skip
    first, last = [event for event in events if event["event"] == "evaluation"]
    assert (first["step"], last["step"]) == (50, 100)
    assert last["mlm_loss"] < last["unigram_loss"] - 0.1
    assert result["evaluation"]["mlm_loss"] == last["mlm_loss"]

    asked = ["--data", str(place / "valid"), "--max-length", "64", "--batches", "10"]
    monkeypatch.syspath_prepend(SCRIPT.parent)
    runpy.run_path(str(SCRIPT))["main"]([result["model"], *asked])
    scored = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert scored["ours"] == pytest.approx(last["mlm_loss"], abs=1e-4)
    assert abs(scored["ours"] - scored["peer_value"]) < 1e-3
    assert scored["predictions"] == last["predictions"] > 500


def test_recipe_file_flags_and_a_line_for_people(place, tmp_path, capsys):
    file = tmp_path / "recipe.yaml"
    fields = recipe(place, model="albert-micro", steps=9, objective="mlm", evaluations=0)
    file.write_text("\n".join(field.replace("=", ": ", 1) for field in fields))
    output = tmp_path / "run"
    flags = ["--recipe", str(file), "--steps", "2", "seed=5", "--no-tensorboard"]
    assert main(["pretrain", *flags, "--output", str(output)]) == 0
    printed = capsys.readouterr().out
    assert f"model: {output / 'model'}" in printed
    assert "masked-LM loss" in printed
    assert "sentence" not in printed
    kept = (output / "recipe.yaml").read_text()
    assert "steps: 2\n" in kept
    assert "seed: 5\n" in kept
    assert not (output / "tensorboard").exists()


def test_tokens_and_minutes_end_a_run(place, tmp_path):
    for budget, changes in (("tokens", {"tokens": 2500}), ("minutes", {"minutes": 0.0001})):
        fields = [f for f in recipe(place, model="albert-micro") if not f.startswith("steps=")]
        fields += [f"{name}={value}" for name, value in changes.items()]
        output = tmp_path / budget
        assert main(["pretrain", *fields, "--no-tensorboard", "--output", str(output)]) == 0
        last = read_events(output / "events.jsonl")[-1]
        assert last["event"] == "end"
        assert last["step"] == {"tokens": 3, "minutes": 1}[budget]


def test_help_has_every_field(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["pretrain", "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for field in (
        "--lr",
        "--muon-lr",
        "--objective",
        "--workers",
        "--resume",
        "--recipe",
        "--json",
    ):
        assert field in shown
