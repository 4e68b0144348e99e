"""Hidden states of some tokens only, and batches with filling, against the plain pass."""

import pytest
import torch
from torch.testing import assert_close

import litebert
from litebert.config import ModelConfig
from litebert.model import encoder
from litebert.model.task_heads import SequenceHead, TaskModel, initialise

LENGTHS = (7, 40, 33, 1, 90, 35)


def model_and_batch(**changes):
    config = ModelConfig(
        hidden_size=32, heads=2, depth=3, inner_size=64, embedding_size=16, vocab_size=50, **changes
    )
    generator = torch.Generator().manual_seed(1)
    sequences = [torch.randint(5, 50, (n,), generator=generator).tolist() for n in LENGTHS]
    return litebert.build(config, seed=2), litebert.pack(sequences)


def gradients(model, *outputs):
    model.zero_grad()
    sum((output.double() ** 2).sum() for output in outputs).backward()
    return {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("sharing", ["all", "none"])
@pytest.mark.parametrize("recompute", ["nothing", "blocks"])
def test_wanted_rows_are_those_of_the_whole_pass(sharing, recompute):
    model, batch = model_and_batch(sharing=sharing)
    model.recompute = recompute
    wanted = torch.tensor([5, 200, 8, 60])
    whole, part = model(batch), model(batch, wanted=wanted)
    assert part.hidden.shape == (4, 32)
    assert_close(part.hidden, whole.hidden[wanted], atol=1e-6, rtol=1e-5)
    assert_close(part.pooled, whole.pooled, atol=1e-6, rtol=1e-5)
    expected = gradients(model, whole.hidden[wanted], whole.pooled)
    found = gradients(model, part.hidden, part.pooled)
    assert expected.keys() == found.keys()
    for name, gradient in expected.items():
        assert_close(found[name], gradient, atol=1e-4, rtol=1e-4, msg=name)


def test_a_head_on_pooled_tokens_scores_as_on_the_whole_pass():
    model, batch = model_and_batch()
    head = SequenceHead(model.config, 3, 0.0)
    initialise(head, deviation=0.5, seed=3)
    whole = head(model(batch), batch)
    assert_close(TaskModel(model, head)(batch), whole, atol=1e-6, rtol=1e-5)


def test_filling_changes_no_row():
    model, batch = model_and_batch()
    filled = batch.filled(64)
    assert (len(batch.tokens), len(filled.tokens)) == (206, 256)
    assert filled.lengths == (*LENGTHS, 50)
    assert filled.filled(64) is filled
    assert_close(model(filled).hidden[:206], model(batch).hidden, atol=1e-6, rtol=1e-5)


def test_a_long_bf16_batch_is_filled_unseen(monkeypatch):
    monkeypatch.setattr(encoder, "FILL_FROM", 200)
    model, batch = model_and_batch()
    exact = model(batch)
    model.compute_dtype = torch.bfloat16
    seen = []
    model.attentions[0].register_forward_hook(lambda _, inputs, out: seen.append(len(out)))
    out = model(batch)
    assert set(seen) == {256}
    assert (out.hidden.shape, out.pooled.shape) == ((206, 32), (6, 32))
    # bf16 keeps eight bits; rows in the wrong place would differ by about 1
    assert (out.hidden.float() - exact.hidden).abs().max() < 0.1
    assert model(batch, wanted=torch.tensor([3])).hidden.shape == (1, 32)


def test_a_batch_that_was_read_can_be_learned_from():
    model, batch = model_and_batch()
    with torch.inference_mode():
        read = model(batch).pooled
    learned = model(batch).pooled
    assert_close(learned, read)
    assert gradients(model, learned)


def test_rows_of_groups_hold_every_token_once():
    _, batch = model_and_batch()
    grouping = batch.grouping
    assert [group.length for group in grouping.groups] == [96, 64, 7, 1]
    assert grouping.token_of_cell[grouping.cell_of_token].tolist() == list(range(206))
    real = torch.cat(
        [
            torch.ones(group.cells, dtype=torch.bool)
            if group.real is None
            else group.real.flatten()
            for group in grouping.groups
        ]
    )
    assert int(real.sum()) == 206
