"""`litebert quantize`: the error it reports, smoothing where it helps, metrics on both sides."""

import json

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import litebert
from litebert.cli.main import main
from litebert.infer.engine import Engine
from litebert.infer.smoothing import SMOOTHING, read_smoothing, save_smoothing, smoothing_of
from litebert.interop.task_models import save_task_model
from litebert.model.task_heads import TaskModel, initialise
from litebert.tasks.kinds import kind_of
from tiny_runs import WORDS, tiny_tokenizer

SHAPE = litebert.ModelConfig(
    hidden_size=64, heads=2, depth=3, inner_size=128, embedding_size=16, vocab_size=65,
    max_positions=64, initializer_range=0.2,
)  # fmt: skip
FAR = [5, 40]
TEXTS = [" ".join(WORDS[(3 * n + k * k) % 60] for k in range(3 + n % 20)) for n in range(40)]


def model_with(outliers: float) -> litebert.Model:
    """One whose normalised states reach far in two channels, and mean little there."""
    model = litebert.build(SHAPE, seed=1)
    with torch.no_grad():
        for block in (*model.attentions, *model.feed_forwards):
            block.norm.weight[FAR] *= outliers
            inputs = block.qkv if hasattr(block, "qkv") else block.inner
            inputs.weight[:, FAR] /= outliers**2
    return model


@pytest.fixture
def pretrained(tmp_path):
    def saved(outliers):
        place = tmp_path / f"model-{outliers}"
        litebert.save(model_with(outliers), tiny_tokenizer(tmp_path), place)
        return place

    return saved


@pytest.fixture
def texts(tmp_path):
    place = tmp_path / "texts.txt"
    place.write_text("\n".join(TEXTS) + "\n\n")
    return place


def report(capsys, *argv):
    assert main(["quantize", *map(str, argv), "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def away(place, precision="int8"):
    found, exact = (
        Engine.load(place, precision=each).embed(TEXTS, normalise=False)
        for each in (precision, "fp32")
    )
    return np.linalg.norm(np.delete(found - exact, FAR, axis=1))


def test_smoothing_is_kept_where_channels_reach_far(pretrained, texts, capsys):
    place = pretrained(60.0)
    before = away(place)
    (found,) = report(capsys, place, "--data", texts)["models"]
    plain, smoothed = found["errors"]["plain"], found["errors"]["smoothed"]
    assert len(plain) == len(smoothed) == 3
    assert smoothed[-1] < 0.85 * plain[-1]
    assert found["smoothed"]
    assert found["scores"] == {}
    # the engine takes what was left there
    assert away(place) < 0.8 * before
    assert away(place, "fp32") == 0
    (place / SMOOTHING).write_bytes(b"")
    with pytest.raises(litebert.InputError, match="not what litebert quantize wrote"):
        Engine.load(place, precision="int8")
    assert main(["quantize", str(place), "--data", str(texts)]) == 0
    assert "smoothed inputs are kept" in capsys.readouterr().out
    litebert.save(litebert.build(SHAPE, seed=9), tiny_tokenizer(texts.parent), place)
    with pytest.raises(litebert.InputError, match="other weights: run litebert quantize again"):
        Engine.load(place, precision="int8")


def test_the_error_is_that_of_the_rounded_model(pretrained, texts, capsys):
    place = pretrained(1.0)
    (place / SMOOTHING).write_bytes(b"of another day")
    (found,) = report(capsys, place, "--data", texts)["models"]
    assert not found["smoothed"]
    assert not (place / SMOOTHING).exists()
    # a first layer that rounds rows and weights to 255 and 254 steps is off by about so much
    assert 0.002 < found["errors"]["plain"][0] < 0.03


def tuned(place, seed):
    kind = kind_of("classification", labels=["no", "yes"], settings={"max_length": 64})
    model = TaskModel(litebert.build(SHAPE, seed=seed), kind.head(SHAPE, 0.1))
    initialise(model.head, deviation=0.3, seed=seed)
    save_task_model(model, kind, tiny_tokenizer(place.parent), place, task="mine", card="")
    return place


@pytest.mark.parametrize(
    ("name", "factors"),
    [
        ("attentions.0.qkv", torch.ones(63)),
        ("attentions.0.qkv", torch.ones(64, 1)),
        ("attentions.0.qkv", torch.zeros(64)),
        ("attentions.0.qkv", torch.full((64,), torch.nan)),
        ("attentions.0.qkv", torch.ones(64, dtype=torch.int32)),
        ("attentions.9.qkv", torch.ones(64)),
    ],
)
def test_smoothing_that_does_not_fit(pretrained, texts, capsys, name, factors):
    place = pretrained(60.0)
    report(capsys, place, "--data", texts)
    save_smoothing(read_smoothing(place) | {name: factors}, place)
    with pytest.raises(litebert.InputError, match=f"{name} does not fit .* run litebert quantize"):
        Engine.load(place, precision="int8")
    assert main(["quantize", str(place), "--data", str(texts)]) == 0
    Engine.load(place, precision="int8")


def test_smoothing_beside_weights_that_are_no_safetensors(pretrained, texts, capsys):
    place = pretrained(60.0)
    report(capsys, place, "--data", texts)
    torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    with pytest.raises(litebert.InputError, match=r"model\.safetensors is not there"):
        Engine.load(place, precision="int8")
    Engine.load(place, precision="fp32")


def test_early_answers_hold_for_the_smoothing_they_were_calibrated_with(tmp_path, monkeypatch):
    place, data = tuned(tmp_path / "model", seed=0), tmp_path / "rows.csv"
    rows = [f"{text} {WORDS[n]},{'yes' if n else 'no'}" for n in range(3) for text in TEXTS]
    data.write_text("text,label\n" + "\n".join(rows) + "\n")

    def quantized(*, kept):
        monkeypatch.setattr("litebert.cli.quantize.WORTHWHILE", -9 if kept else 1)
        assert main(["quantize", str(place), "--data", str(data)]) == 0
        assert (place / SMOOTHING).is_file() == kept

    def calibrated(precision):
        argv = ["exits", str(place), str(data), "--risk", "0.6", "--patience", "1"]
        assert main([*argv, "--precision", precision]) == 0
        told = smoothing_of(place) if precision == "int8" else None
        assert json.loads((place / "exits.json").read_text())["smoothing"] == told

    def answers(precision="int8"):
        return Engine.load(place, precision=precision).predict(["w1"], early=True)

    def refused():
        with pytest.raises(litebert.InputError, match="run litebert exits again, or delete exits"):
            answers()

    calibrated("int8")
    assert answers()
    for kept in (True, False):
        quantized(kept=kept)
        refused()
        calibrated("int8")
        assert answers()
    # other arithmetic is not smoothed
    calibrated("fp32")
    quantized(kept=True)
    assert answers("fp32")
    # files of before say nothing of it
    values = json.loads((place / "exits.json").read_text()) | {"precision": "int8"}
    del values["smoothing"]
    (place / "exits.json").write_text(json.dumps(values))
    refused()
    quantized(kept=False)
    assert answers()


def test_metrics_before_and_after_and_medians_of_several(tmp_path, capsys):
    rows = [f"{text},{'yes' if n % 3 else 'no'}" for n, text in enumerate(TEXTS)]
    data = tmp_path / "rows.csv"
    data.write_text("text,label\n" + "\n".join(rows) + "\n")
    places = [tuned(tmp_path / f"seed-{seed}", seed) for seed in range(3)]
    found = report(capsys, *places, "--data", data)
    for place, model in zip(places, found["models"], strict=True):
        for precision, scores in model["scores"]["rows"].items():
            argv = ["evaluate", str(place), "--data", str(data), "--precision", precision, "--json"]
            assert main(argv) == 0
            assert json.loads(capsys.readouterr().out)["scores"]["rows"] == scores
    changes = [
        model["scores"]["rows"]["int8"]["accuracy"] - model["scores"]["rows"]["fp32"]["accuracy"]
        for model in found["models"]
    ]
    assert found["median_change"]["rows accuracy"] == sorted(changes)[1]
    assert main(["quantize", *map(str, places), "--data", str(data)]) == 0
    assert "median change" in capsys.readouterr().out


def test_what_cannot_be_reported_on(pretrained, tmp_path, capsys):
    place = pretrained(1.0)
    for argv, words in (
        ([], "no model given"),
        ([place], "has no task: add --data FILE"),
        ([place, "--data", tmp_path / "missing"], "cannot be read"),
        ([tmp_path / "nothing"], "no model.safetensors here"),
        ([place, "--data", place / "model.safetensors"], "text that is not UTF-8"),
    ):
        assert main(["quantize", *map(str, argv)]) == 2
        assert words in capsys.readouterr().err
    (tmp_path / "one").write_text("w1 w2\n")
    assert main(["quantize", str(place), "--data", str(tmp_path / "one")]) == 2
    assert "at least two texts" in capsys.readouterr().err
