"""Fine-tuning's optimizer and steps: who learns how fast, and what a bad batch may do."""

import math
from dataclasses import replace

import pytest
import torch

import litebert
from litebert.errors import InputError
from litebert.model.task_heads import TaskModel, initialise
from litebert.tasks.kinds import kind_of
from litebert.tasks.units import TokenSequence, Unit
from litebert.train.finetune import FineTuning, build_adamw
from litebert.train.finetune_recipe import FinetuneRecipe

SHAPE = litebert.ModelConfig(
    hidden_size=16, heads=2, depth=3, inner_size=24, embedding_size=8, vocab_size=30
)
RECIPE = FinetuneRecipe(steps=12, batch_size=4, lr=1e-3, evaluations=2, clip=1.0)


def classifier(config=SHAPE):
    kind = kind_of("classification", labels=["a", "b"], settings={"max_length": 16})
    model = TaskModel(litebert.build(config, seed=1), kind.head(config, 0.0))
    initialise(model.head, deviation=0.02, seed=1)
    return model, kind


def rows(count=10):
    return [Unit(n, (TokenSequence([2, 5 + n % 7, 6, 3], 4),), n % 7 % 2) for n in range(count)]


def rates(model, decay):
    optimizer = build_adamw(model, replace(RECIPE, layer_decay=decay))
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: group["peak_lr"] / RECIPE.lr
        for group in optimizer.param_groups
        for parameter in group["params"]
    }


def test_every_weight_that_learns_is_in_one_group():
    model, _ = classifier()
    found = rates(model, 1.0)
    expected = {n for n, _ in model.named_parameters() if "mlm_head" not in n}
    assert set(found) == {n for n in expected if "sentence_head" not in n}
    assert set(found.values()) == {1.0}


@pytest.mark.parametrize(
    ("sharing", "blocks"),
    [("all", {0: 0}), ("none", {0: 2, 1: 1, 2: 0})],
)
def test_layers_learn_slower_the_further_they_are_from_the_top(sharing, blocks):
    model, _ = classifier(replace(SHAPE, sharing=sharing))
    found = rates(model, 0.5)
    assert found["encoder.embeddings.tokens.weight"] == 0.5**3
    assert found["encoder.pooler.dense.weight"] == found["head.classifier.weight"] == 1
    for number, distance in blocks.items():
        assert found[f"encoder.attentions.{number}.qkv.weight"] == 0.5**distance
        assert found[f"encoder.feed_forwards.{number}.norm.bias"] == 0.5**distance


def training(tmp_path, **changes):
    model, kind = classifier()
    events = []
    run = FineTuning(
        replace(RECIPE, **changes), model, kind, rows(), seed=0, output=tmp_path,
        evaluate=lambda: {"score": float(len(events))},
        watch=lambda event, values: events.append((event, values)),
    )  # fmt: skip
    return run, events


def test_first_step_is_adamws(tmp_path):
    """reference: torch.optim.AdamW on the mean loss of the same rows, without our loop."""
    run, _ = training(tmp_path, warmup=0.0, steps=1, evaluations=1, batch_size=10, clip=1e9)
    other, kind = classifier()
    assert run.run() is None
    from litebert.tasks.units import collate

    other.train()
    loss = kind.loss(other(collate(rows())), rows()) / 10
    loss.backward()
    decayed = [p for p in other.parameters() if p.grad is not None and p.ndim > 1]
    plain = [p for p in other.parameters() if p.grad is not None and p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": plain, "weight_decay": 0.0}]
    torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.999), eps=1e-6).step()
    for (name, mine), theirs in zip(run.model.named_parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, theirs, atol=2e-5, rtol=1e-4, msg=name)


def test_a_bad_batch_updates_nothing_and_a_bad_run_stops(tmp_path, monkeypatch):
    run, events = training(tmp_path / "one")
    real, calls = run.kind.loss, iter(range(10**6))

    def poisoned(scores, units):
        loss = real(scores, units)
        return loss * math.nan if next(calls) == 5 else loss

    monkeypatch.setattr(run.kind, "loss", poisoned)
    assert run.run() is None
    assert all(bool(p.isfinite().all()) for p in run.model.parameters())
    assert [values["best"] for event, values in events if event == "evaluation"] == [True, True]
    run, _ = training(tmp_path / "all")
    monkeypatch.setattr(run.kind, "loss", lambda scores, units: scores.sum() * math.nan)
    with pytest.raises(InputError, match="again and again: start again with a lower lr"):
        run.run()


def test_every_epoch_sees_every_row_in_an_order_of_its_own(tmp_path):
    run, _ = training(tmp_path)
    epochs = [
        [unit.example for step in range(first, first + 3) for unit in run._batch(step)]
        for first in (0, 3)
    ]
    assert sorted(epochs[0]) == sorted(epochs[1]) == list(range(10))
    assert epochs[0] != epochs[1]


def test_recipes_say_what_is_wrong():
    for fields, message in (
        ({"lr": 0.0}, "lr=0.0 must be above 0"),
        ({"warmup": 1.0}, r"warmup=1\.0 must lie in"),
        ({"part": 0.9}, "part=0.9 is out of its range"),
        ({"max_length": 4}, "max_length=4 must be at least 16"),
    ):
        with pytest.raises(InputError, match=message):
            FinetuneRecipe(**fields)
