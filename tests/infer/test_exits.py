"""Early exits: the rule against a plain loop, and the promise against draws of rows."""

import numpy as np
import pytest
import torch
from scipy import stats

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.infer.exits import ExitRule, Exits, calibrate, exit_layers, outcome
from litebert.model.task_heads import SequenceHead


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
                                    {"risk": 0.1, "patience": 0}])  # fmt: skip
def test_values_out_of_range(values):
    with pytest.raises(InputError, match="must"):
        calibrate(shares(5), **values)
