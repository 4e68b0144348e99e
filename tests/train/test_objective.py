"""Gradients are those of the whole step whatever its pieces, and speed settings change nothing."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from torch.nn import functional as F

from litebert import ModelConfig, PackedBatch, build
from litebert.train.events import read_events
from litebert.train.objective import losses, to_device
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from litebert.train.schedule import rate_factor
from tiny_runs import SHAPE, tiny_recipe


class Recorder(torch.optim.SGD):
    """Keeps the gradients of every step and changes nothing."""

    def __init__(self, parameters):
        super().__init__(parameters, lr=1.0)
        self.seen: list[list[torch.Tensor]] = []

    def step(self, closure=None):
        (group,) = self.param_groups
        self.seen.append([parameter.grad.clone() for parameter in group["params"]])


def gradient_by_hand(model, batches, *, sentence_weight: float) -> list[torch.Tensor]:
    """Gradients in float64 of the mean losses over the union of batches, with plain full logits."""
    twin = build(model.config).double()
    twin.load_state_dict(model.state_dict())
    twin.compute_dtype = torch.float64
    offset, positions, sentences = 0, [], []
    for batch in batches:
        positions.append(torch.from_numpy(batch.predicted_positions) + offset)
        sentences.append(torch.from_numpy(batch.sentence_labels))
        offset += len(batch.tokens)

    def joined(name: str) -> torch.Tensor:
        return torch.cat([torch.from_numpy(getattr(batch, name)) for batch in batches])

    lengths = [n for batch in batches for n in (batch.offsets[1:] - batch.offsets[:-1]).tolist()]
    out = twin(
        PackedBatch(
            tokens=joined("tokens"),
            positions=joined("positions"),
            segments=joined("segments"),
            lengths=tuple(lengths),
        )
    )
    logits = twin.mlm_logits(out.hidden)[torch.cat(positions)]
    labels = torch.cat(sentences)
    asked = labels != -1
    loss = F.cross_entropy(logits, joined("predicted_tokens"))
    loss = loss + sentence_weight * F.cross_entropy(
        twin.sentence_logits(out.pooled)[asked], labels[asked]
    )
    loss.backward()
    return [parameter.grad for parameter in twin.parameters()]


@pytest.fixture
def dry_shape(tmp_path) -> str:
    """The shape of runs.py without dropout."""
    shape = {**SHAPE, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    (tmp_path / "dry.json").write_text(json.dumps(shape))
    return str(tmp_path / "dry.json")


def test_accumulation_is_the_mean_over_the_union(corpus, tmp_path, dry_shape):
    recipe = tiny_recipe(
        corpus, model=dry_shape, steps=2, accumulation=3, clip=1e9, sentence_weight=0.5
    )
    settings = RunSettings(output=tmp_path / "run", workers=0, tensorboard=False)
    settings.output.mkdir()
    run = Pretraining(recipe, settings)
    recorder = Recorder(run.model.parameters())
    recorder.param_groups[0]["peak_lr"] = 1.0
    run.optimizers = [recorder]
    run.run()
    assert len(recorder.seen) == 2
    labelled = set()
    for step, found in enumerate(recorder.seen):
        batches = [run.batches.batch(3 * step + number) for number in range(3)]
        labelled |= {int((batch.sentence_labels >= 0).sum()) for batch in batches}
        assert any((batch.sentence_labels == -1).any() for batch in batches)
        by_hand = gradient_by_hand(run.model, batches, sentence_weight=0.5)
        for mine, expected in zip(found, by_hand, strict=True):
            torch.testing.assert_close(mine.double(), expected, rtol=1e-3, atol=1e-6)
    assert len(labelled) > 1, "equal counts: a mean of means would pass too"


def test_unlabelled_sentences_give_no_loss_and_no_gradient(corpus):
    config = ModelConfig(**SHAPE, vocab_size=65)
    model = build(config).eval()
    recipe = tiny_recipe(corpus, steps=1)
    run = Pretraining(recipe, RunSettings(output=corpus, workers=0))
    batch = run.batches.batch(0)
    assert (batch.sentence_labels >= 0).any()
    silent = dataclasses.replace(batch, sentence_labels=batch.sentence_labels * 0 - 1)
    sums = losses(model, *to_device(silent, torch.device("cpu")))
    assert sums.sentence.item() == 0
    assert int(sums.sentence_right) == 0
    sums.sentence.backward()
    assert not model.sentence_head.weight.grad.any()


def trained(corpus, output, **settings):
    output.mkdir()
    run = Pretraining(
        tiny_recipe(corpus, steps=5, accumulation=2, evaluations=2),
        RunSettings(output=output, tensorboard=False, **settings),
    )
    run.run()
    return run


def test_speed_settings_do_not_change_weights(corpus, tmp_path):
    plain = trained(corpus, tmp_path / "0", workers=0)
    for workers, changes in ((1, {"log_every": 0.0}), (2, {"checkpoint_minutes": 0.0})):
        other = trained(corpus, tmp_path / str(workers), workers=workers, **changes)
        for a, b in zip(plain.model.parameters(), other.model.parameters(), strict=True):
            assert torch.equal(a, b)
    start = Pretraining(plain.recipe, RunSettings(output=tmp_path)).model
    for a, b in zip(start.parameters(), plain.model.parameters(), strict=True):
        assert not torch.equal(a, b)


def test_rate_of_the_last_step_is_that_of_its_start(corpus, tmp_path):
    run = trained(corpus, tmp_path / "run", workers=0)
    for optimizer in run.optimizers:
        for group in optimizer.param_groups:
            assert group["lr"] == pytest.approx(group["peak_lr"] * rate_factor(4 / 5, 0.04))


def test_largest_seed_runs(corpus, tmp_path):
    recipe = tiny_recipe(corpus, steps=1, seed=2**63 - 1)
    (tmp_path / "run").mkdir()
    settings = RunSettings(output=tmp_path / "run", workers=0, tensorboard=False)
    assert Pretraining(recipe, settings).run().step == 1


def test_depth_stages_run_the_block_less_often_at_first(corpus, tmp_path, dry_shape):
    """A model of depth 1 with the same weights takes the same first step."""
    shallow = json.loads(Path(dry_shape).read_text()) | {"depth": 1}
    (tmp_path / "shallow.json").write_text(json.dumps(shallow))
    runs = []
    for name, changes in (
        ("staged", {"model": dry_shape, "depth_stages": (0.5, 1.0)}),
        ("shallow", {"model": str(tmp_path / "shallow.json")}),
    ):
        (tmp_path / name).mkdir()
        settings = RunSettings(output=tmp_path / name, workers=0, tensorboard=False, log_every=0.0)
        run = Pretraining(tiny_recipe(corpus, steps=4, evaluations=4, **changes), settings)
        run.run()
        runs.append(read_events(tmp_path / name / "events.jsonl"))
    staged, shallow = (
        [event["mlm_loss"] for event in events if event["event"] == "step"] for events in runs
    )
    assert staged[:2] == shallow[:2]
    assert staged[2] != shallow[2]
    depths = [event["depth"] for event in runs[0] if event["event"] == "evaluation"]
    assert depths == [1, 1, 2, 2]
