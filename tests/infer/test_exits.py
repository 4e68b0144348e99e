"""Early exits: the rule against a plain loop, and the promise against draws of rows."""

import json
from dataclasses import asdict

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

import litebert
from litebert.cli.main import main
from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.infer.exits import (
    ExitRule,
    Exits,
    calibrate,
    exit_layers,
    outcome,
    rows_needed,
    shares_by_layer,
)
from litebert.interop.load import weights_of
from litebert.interop.task_models import load_task_model, save_task_model
from litebert.model.task_heads import SequenceHead, TaskModel, initialise
from litebert.tasks.kinds import kind_of
from tiny_runs import WORDS, tiny_tokenizer

PROMISED = Exits(
    patience=1, margin=0.5, risk=0.1, confidence=0.95, rows=30, disagreement=0.0, mean_layers=1.0
)


def shares(seed: int, *, layers: int = 6, count: int = 400, classes: int = 3) -> np.ndarray:
    """Probabilities that grow surer from layer to layer, not always of the same class."""
    draw = np.random.default_rng(seed)
    drift = draw.normal(size=(1, count, classes)) * 2
    noise = draw.normal(size=(layers, count, classes)) * 2
    scores = np.linspace(0.2, 1.5, layers)[:, None, None] * drift + noise / 2
    exponents = np.exp(scores)
    return exponents / exponents.sum(-1, keepdims=True)


def leaves_by_hand(column: np.ndarray, patience: int, margin: float) -> int:
    for layer in range(1, len(column)):
        last = column[max(0, layer - patience) : layer]
        ordered = sorted(last[-1])
        same = len({int(row.argmax()) for row in last}) == 1
        if len(last) == patience and same and ordered[-1] - ordered[-2] >= margin:
            return layer
    return len(column)


@pytest.mark.parametrize("patience", [1, 2, 3])
@pytest.mark.parametrize("margin", [0.0, 0.4, 1.0])
def test_who_leaves_where(patience, margin):
    found = shares(1)
    left = exit_layers(found, patience=patience, margin=margin)
    expected = [leaves_by_hand(found[:, n], patience, margin) for n in range(found.shape[1])]
    assert left.tolist() == expected


def test_the_rule_of_a_server_is_the_rule_of_calibration():
    class Request:
        def __init__(self):
            self.opinions = []

    generator = torch.Generator().manual_seed(0)
    shape = ModelConfig(hidden_size=5, heads=1, depth=1, inner_size=5)
    head = SequenceHead(shape, 3, 0.1).eval()
    torch.nn.init.normal_(head.classifier.weight, generator=generator)
    pooled = torch.randn(6, 80, 5, generator=generator).cumsum(0)
    found = torch.stack([head.scores(layer).softmax(-1) for layer in pooled]).detach().numpy()
    exits = Exits(patience=2, margin=0.3, risk=0.1, confidence=0.95, rows=1, disagreement=0.0,
                  mean_layers=1.0)  # fmt: skip
    rule = ExitRule(exits, head)
    under_way, left = {n: Request() for n in range(80)}, np.full(80, 6)
    for layer in range(5):
        numbers = list(under_way)
        with torch.no_grad():
            gone = rule(list(under_way.values()), pooled[layer][numbers])
        for number, leaves in zip(numbers, gone, strict=True):
            if leaves:
                left[number] = layer + 1
                del under_way[number]
    assert left.tolist() == exit_layers(found, patience=2, margin=0.3).tolist()
    assert 1 < left.mean() < 6


def test_the_promise_is_kept_as_often_as_it_says():
    whole = shares(2, count=40_000)
    final = whole[-1].argmax(-1)
    draw, broken, early = np.random.default_rng(3), 0, 0
    for _ in range(100):
        rows = draw.choice(whole.shape[1], 500, replace=False)
        exits = calibrate(whole[:, rows], risk=0.05, confidence=0.9)
        left = exit_layers(whole, patience=2, margin=exits.margin)
        answers = whole[left - 1, np.arange(whole.shape[1])].argmax(-1)
        broken += float((answers != final).mean()) > 0.05
        early += left.mean() < 6
    # at most a tenth; a fifth would be a matter of one in two hundred draws
    assert broken <= stats.binom.ppf(0.995, 100, 0.1)
    assert early > 50


def test_certainty_itself_is_no_margin():
    # every layer is sure to the last bit, of another class each
    sure = np.zeros((4, 300, 3))
    for layer in range(4):
        sure[layer, :, layer % 3] = 1.0
    sure[3] = np.roll(sure[3], 1, axis=-1)
    exits = calibrate(sure, risk=0.01, patience=1)
    assert outcome(sure, patience=1, margin=exits.margin) == (0, 4.0)
    assert outcome(sure, patience=1, margin=1.0) == (300, 1.0)


def test_the_first_margin_that_fails_ends_the_search():
    # right and rather sure, then wrong and surer, then right: a loose margin leaves in time
    right, wrong = np.tile([0.1, 0.9], (400, 1)), np.tile([0.97, 0.03], (400, 1))
    found = np.stack([right, wrong, right])
    loose = calibrate(found, risk=0.02, patience=1, margins=[2.0, 0.5])
    assert (loose.margin, loose.mean_layers, loose.disagreement) == (0.5, 1.0, 0.0)
    assert outcome(found, patience=1, margin=0.9) == (400, 2.0)
    # but what was not tested in its turn is not promised
    strict = calibrate(found, risk=0.02, patience=1, margins=[2.0, 0.9, 0.5])
    assert (strict.margin, strict.mean_layers) == (2.0, 3.0)


def test_too_few_rows_for_a_promise(tmp_path):
    exits = calibrate(shares(4, count=20), risk=0.01)
    assert (exits.margin, exits.mean_layers, exits.disagreement) == (2.0, 6.0, 0.0)
    exits.save(tmp_path)
    assert Exits.read(tmp_path) == exits
    (tmp_path / "exits.json").write_text("{}")
    with pytest.raises(InputError, match="not what litebert exits wrote"):
        Exits.read(tmp_path)
    with pytest.raises(InputError, match="litebert exits"):
        Exits.read(tmp_path / "nowhere")


@pytest.mark.parametrize("values", [{"risk": 0.0}, {"risk": 0.1, "confidence": 1.0},
                                    {"risk": 0.1, "patience": 0},
                                    {"risk": 0.1, "patience": 6}])  # fmt: skip
def test_values_out_of_range(values):
    with pytest.raises(InputError, match="must"):
        calibrate(shares(5), **values)


@pytest.mark.parametrize(("risk", "confidence"), [(0.01, 0.95), (0.1, 0.9), (0.03, 0.999)])
def test_rows_that_a_promise_takes_at_least(risk, confidence):
    needed = rows_needed(risk=risk, confidence=confidence)
    agreed = np.tile([[[0.0, 1.0]]], (4, needed, 1))
    enough = calibrate(agreed, risk=risk, confidence=confidence, patience=1)
    assert (enough.margin, enough.mean_layers) == (0.0, 1.0)
    assert calibrate(agreed[:, 1:], risk=risk, confidence=confidence).margin == 2.0


def test_what_was_read_is_checked(tmp_path):
    PROMISED.save(tmp_path)
    values = json.loads((tmp_path / "exits.json").read_text())
    assert values == asdict(PROMISED)
    for name, value in (("patience", "2"), ("patience", 0), ("patience", True), ("margin", None),
                        ("margin", float("nan")), ("margin", -1), ("margin", 3), ("rows", 1.5),
                        ("risk", [0.1]), ("precision", 8), ("smoothing", 0)):  # fmt: skip
        (tmp_path / "exits.json").write_text(json.dumps(values | {name: value}))
        with pytest.raises(InputError, match=f"not what litebert exits wrote .{name} is"):
            Exits.read(tmp_path)
    (tmp_path / "exits.json").write_text(json.dumps([values]))
    with pytest.raises(InputError, match="not what litebert exits wrote"):
        Exits.read(tmp_path)
    # of the days before smoothing was told, and of another writer
    del values["smoothing"]
    (tmp_path / "exits.json").write_text(json.dumps(values | {"margin": 1}))
    assert (Exits.read(tmp_path).smoothing, Exits.read(tmp_path).margin) == (None, 1)


def test_a_card_keeps_what_others_wrote(tmp_path):
    card = tmp_path / "README.md"
    card.write_text("# Mine\n\n### Early answers\n\nnone yet\n")
    for _ in range(2):
        PROMISED.save(tmp_path)
        words = f"## Early answers\n\n{PROMISED.in_words()}\n"
        assert card.read_text() == f"# Mine\n\n### Early answers\n\nnone yet\n\n{words}"
    before, after = "# Mine\n\n## Data\n\nread ## Early answers\n\n", "\n## Bias\n\nsome\n\n# End\n"
    for old in ("", "three layers\n\n### more\n", "\n\n\n"):
        card.write_text(f"{before}## Early answers\n{old}{after}")
        PROMISED.save(tmp_path)
        assert card.read_text() == before + words + after


def tuned(place, labels=("no", "yes")):
    """A model that says the last of its labels after every layer, and is rather sure of it."""
    shape = ModelConfig(hidden_size=32, heads=2, depth=3, inner_size=64, embedding_size=16,
                        vocab_size=65, max_positions=32)  # fmt: skip
    kind = kind_of("classification", labels=list(labels), settings={"max_length": 32})
    model = TaskModel(litebert.build(shape, seed=1), kind.head(shape, 0.1))
    initialise(model.head, deviation=0.02, seed=2)
    with torch.no_grad():
        model.head.classifier.bias[-1] = 3.0
    save_task_model(model, kind, tiny_tokenizer(place), place / "model", task="mine", card="# It\n")
    return place / "model"


def asked(place, count, *more):
    """`litebert exits` on so many rows."""
    texts = [f"{WORDS[n % 60]} {WORDS[n // 60]}" for n in range(count)]
    (place.parent / "rows.csv").write_text("\n".join(["text", *texts]) + "\n")
    argv = ["exits", str(place), str(place.parent / "rows.csv"), "--precision", "fp32", *more]
    return main([*argv, "--risk", "0.1"])


def files_of(place):
    return {file.name: file.read_bytes() for file in place.iterdir()}


@pytest.mark.parametrize("more", [[], ["--json"]])
def test_where_no_answer_may_be_early_nothing_is_written(tmp_path, capsys, monkeypatch, more):
    place = tuned(tmp_path)
    new = files_of(place)

    def refused(count):
        assert asked(place, count, *more) == 2
        said = capsys.readouterr()
        assert not said.out
        assert said.err.count("\n") == 1
        assert "a larger --risk, or fine-tune with every_depth=true" in said.err
        return said.err

    said = refused(57)
    assert "28 of the 57 rows calibrate" in said
    assert "takes at least 29 that do, 58 in all" in said
    assert "exits.json is not written" in said
    assert files_of(place) == new
    assert asked(place, 58, *more) == 0
    assert "at most 10.00% of the answers differ" in (place / "README.md").read_text()
    (line,) = litebert.Engine.load(place, precision="fp32").predict(["w1"], early=True)
    assert (line["prediction"], line["layers"]) == ("yes", 2)
    calibrated = files_of(place)
    capsys.readouterr()
    assert "exits.json stays as it was" in refused(57)
    # rows enough, of which none is sure
    unsure = np.tile([[[0.5, 0.5]], [[0.4, 0.6]], [[0.6, 0.4]]], (1, 80, 1))
    monkeypatch.setattr("litebert.cli.exits.shares_by_layer", lambda *_, **__: unsure)
    said = refused(80)
    assert "40 of the 80 rows calibrate, and by them no answer may be given early" in said
    assert "at least 29" in said
    assert files_of(place) == calibrated


def test_patience_that_the_layers_exhaust(tmp_path, capsys):
    place = tuned(tmp_path)
    for patience in (3, 4):
        assert asked(place, 80, "--patience", str(patience)) == 2
        said = capsys.readouterr().err
        assert f"patience={patience} must be less than the model's number of layers, 3" in said
    assert not (place / "exits.json").exists()
    assert asked(place, 80, "--patience", "2") == 0


def test_one_label_leaves_nothing_to_be_sure_of(tmp_path, capsys):
    place = tuned(tmp_path, labels=["yes"])
    with pytest.raises(InputError, match="two classes or more, and this model has 1"):
        shares_by_layer(load_task_model(place), [])
    assert asked(place, 80) == 2
    assert "two classes or more" in capsys.readouterr().err
    Exits(**asdict(PROMISED) | {"weights": weights_of(place)}).save(place)
    with pytest.raises(InputError, match="two classes or more"):
        litebert.Engine.load(place, precision="fp32").predict(["w1"], early=True)


def test_exits_beside_weights_that_are_no_safetensors(tmp_path):
    place = tuned(tmp_path)
    Exits(**asdict(PROMISED) | {"weights": weights_of(place)}).save(place)
    torch.save(load_file(place / "model.safetensors"), place / "pytorch_model.bin")
    (place / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"model\.safetensors is not there.*or delete"):
        litebert.Engine.load(place).predict(["w1"], early=True)
    assert litebert.Engine.load(place).predict(["w1"])[0]["prediction"] == "yes"
