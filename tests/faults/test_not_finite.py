"""NaN in a batch, an activation or a gradient, on any rank: no update, a word about it, and on."""

import json
import subprocess
import sys

import pytest
import torch

from litebert import InputError
from litebert.text.batches import Batches
from litebert.train import step as step_module
from litebert.train.events import read_events
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from tiny_runs import SHAPE, steps_and_losses, tiny_recipe, weights

STEPS = 12


@pytest.fixture
def dry_shape(tmp_path) -> str:
    """Without dropout, whose random numbers belong to a batch's number."""
    shape = {**SHAPE, "hidden_dropout": 0.0, "attention_dropout": 0.0}
    (tmp_path / "dry.json").write_text(json.dumps(shape))
    return str(tmp_path / "dry.json")


def started(corpus, output, **changes) -> Pretraining:
    output.mkdir()
    settings = RunSettings(
        output=output, workers=0, tensorboard=False, log_every=0.0, checkpoint_minutes=0.0
    )
    return Pretraining(tiny_recipe(corpus, **{"steps": STEPS, **changes}), settings)


def decisions(output) -> list[tuple[int, str]]:
    """First batch and decision of every step that was not taken."""
    events = read_events(output / "events.jsonl")
    return [(e["batches"][0], e["decision"]) for e in events if e["event"] == "not finite"]


def poison(monkeypatch, numbers) -> None:
    """Make the loss of some batches, counted as they are taken, NaN."""
    real, taken = step_module.losses, iter(range(10**9))

    def poisoned(*args, **kwargs):
        found = real(*args, **kwargs)
        if next(taken) in numbers:
            nan = torch.tensor(float("nan"))
            return type(found)(
                found.mlm * nan, found.mlm_right, found.sentence, found.sentence_right
            )
        return found

    monkeypatch.setattr(step_module, "losses", poisoned)


def same_weights(one: Pretraining, other: Pretraining) -> bool:
    pairs = zip(one.model.parameters(), other.model.parameters(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_poisoned_batch_is_left_out(corpus, tmp_path, dry_shape, monkeypatch):
    """The run ends with the weights of one whose stream never held that batch."""
    with monkeypatch.context() as patch:
        poison(patch, {5})
        run = started(corpus, tmp_path / "poisoned", model=dry_shape)
        assert run.run().step == STEPS
    assert decisions(tmp_path / "poisoned") == [(5, "pass over")]
    real = Batches.batch
    monkeypatch.setattr(Batches, "batch", lambda self, k: real(self, k + (k >= 5)))
    without = started(corpus, tmp_path / "without", model=dry_shape)
    without.run()
    assert same_weights(run, without)


@pytest.mark.parametrize("where", ["activation", "gradient"])
def test_nan_inside_the_model(corpus, tmp_path, where):
    run, calls = started(corpus, tmp_path / "run"), iter(range(10**9))
    block = run.model.feed_forwards[0]

    def spoil(tensor):
        return tensor * float("nan") if next(calls) == 7 else tensor

    if where == "activation":
        block.register_forward_hook(lambda module, inputs, output: spoil(output))
    else:
        block.inner.weight.register_hook(spoil)
    assert run.run().step == STEPS
    assert [decision for _, decision in decisions(tmp_path / "run")] == ["pass over"]
    assert all(bool(weight.isfinite().all()) for weight in run.model.parameters())


def test_bad_stretch_goes_back_to_the_checkpoint(corpus, tmp_path, monkeypatch):
    poison(monkeypatch, range(6, 11))
    run = started(corpus, tmp_path / "run")
    assert run.run().step == STEPS
    expected = [(6, "pass over"), (7, "pass over"), (8, "pass over"), (9, "go back")]
    assert decisions(tmp_path / "run") == [*expected, (10, "pass over")]
    assert run.progress.drawn == STEPS + 5
    steps = [step for step, _ in steps_and_losses(tmp_path / "run")]
    assert steps == [*range(1, STEPS + 1), STEPS]  # and the last evaluation


def test_bad_from_some_step_on_stops_with_the_checkpoint_kept(corpus, tmp_path, monkeypatch):
    poison(monkeypatch, range(4, 10**6))
    run = started(corpus, tmp_path / "run")
    with pytest.raises(InputError, match="not finite after step 4, at batch 15, again and again"):
        run.run()
    assert [decision for _, decision in decisions(tmp_path / "run")].count("go back") == 2
    assert (tmp_path / "run/checkpoints/step-00000004").is_dir()


def test_bad_before_any_checkpoint_stops(corpus, tmp_path, monkeypatch):
    poison(monkeypatch, range(10**6))
    with pytest.raises(InputError, match="lower lr"):
        started(corpus, tmp_path / "run").run()
    assert not any((tmp_path / "run").glob("checkpoints/*"))


NAN_ON_RANK_1 = """
import dataclasses, os, sys
from litebert.train import step
real, taken = step.losses, iter(range(10**9))

def poisoned(*args, **kwargs):
    found = real(*args, **kwargs)
    if os.environ["RANK"] == "1" and next(taken) == 3:
        return dataclasses.replace(found, mlm=found.mlm * float("nan"))
    return found

step.losses = poisoned
from litebert.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_nan_on_one_rank_of_two(corpus, tmp_path):
    """Both ranks leave the step out, and end with one set of weights: they go on to agree."""
    script, output = tmp_path / "nan.py", tmp_path / "run"
    script.write_text(NAN_ON_RANK_1)
    fields = vars(tiny_recipe(corpus, steps=STEPS, accumulation=2))
    pairs = [f"{name}={value}" for name, value in fields.items() if value not in (None, ())]
    pairs = [pair for pair in pairs if not pair.startswith("betas")]
    launcher = ["torch.distributed.run", "--nproc-per-node", "2", "--rdzv-backend", "c10d",
                "--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]  # fmt: skip
    flags = ["--output", str(output), "--log-every", "0", "--no-tensorboard", "--workers", "0"]
    done = subprocess.run(
        [sys.executable, "-m", *launcher, str(script), "pretrain", *pairs, *flags],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert decisions(output) == [(6, "pass over")]
    assert len(steps_and_losses(output)) == STEPS + 1  # and the last evaluation
    assert weights(output)
