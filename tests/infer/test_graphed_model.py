"""Blocks recorded once and replayed: the values of the model that was recorded, at any depth.

Without a GPU what is recorded is done again in PyTorch, on the same fixed memory.
"""

import copy
import random
from collections.abc import Callable
from itertools import pairwise

import pytest
import torch

import litebert
from litebert.config import ModelConfig
from litebert.infer import graphed_model
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.graphed_model import GraphedModel
from litebert.infer.policies import DepthContinuous
from litebert.infer.prepare import prepare
from litebert.model import block
from litebert.model.attention import attend_reference
from litebert.model.packed import Layout, PackedBatch
from litebert.tasks.units import TokenSequence, packed_of

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def build(**changes) -> litebert.Model:
    shape = {"hidden_size": 32, "heads": 2, "depth": 4, "inner_size": 48, "embedding_size": 16}
    config = ModelConfig(**shape | {"vocab_size": 60, "max_positions": 300} | changes)
    return litebert.build(config, seed=2).eval()


def ragged(draw: random.Random, sequences: int, longest: int) -> PackedBatch:
    lengths = [draw.randint(1, longest) for _ in range(sequences)]
    return litebert.pack([[draw.randrange(5, 60) for _ in range(length)] for length in lengths])


class Recorder:
    """Does work again as a graph does; attention asks the device's offsets, as its kernel does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.recorded = self.replayed = 0
        monkeypatch.setattr(block, "attend", self.attend)

    def attend(self, qkv_T3ND: torch.Tensor, layout: Layout, *, dropout: float = 0.0):
        ends = layout.offsets.tolist()
        real = [end - begin for begin, end in pairwise(ends) if end > begin]
        assert max(real) <= max(layout.lengths)  # the kernel's number of steps
        own = Layout(lengths=tuple(real), device=layout.device)
        # the kernel leaves rows behind the last sequence as memory has them
        out = torch.full_like(qkv_T3ND[:, 0], torch.nan)
        out[: ends[-1]] = attend_reference(qkv_T3ND[: ends[-1]], own)
        return out

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        self.recorded += 1
        for _ in range(3):
            work()

        def replay() -> None:
            self.replayed += 1
            work()

        return replay


@torch.inference_mode()
def test_replays_give_the_models_values(monkeypatch):
    draw, model = random.Random(4), build()
    batches = [ragged(draw, draw.randint(1, 20), draw.choice((5, 30, 300))) for _ in range(40)]
    expected = [model(batch) for batch in batches]
    recorder = Recorder(monkeypatch)
    graphed = GraphedModel(model, recorder)
    for batch, values in zip(batches, expected, strict=True):
        found = graphed(batch)
        torch.testing.assert_close(found.hidden, values.hidden, atol=2e-6, rtol=0)
        torch.testing.assert_close(found.pooled, values.pooled, atol=2e-6, rtol=0)
    assert recorder.replayed > 4 * 20
    # sizes of room, not batches
    assert recorder.recorded < 20


@torch.inference_mode()
def test_one_recording_serves_every_depth(monkeypatch):
    model = build()
    batch = ragged(random.Random(1), 3, 20)
    expected = {depth: model(batch, depth).hidden for depth in (1, 2, 4, 9)}
    recorder = Recorder(monkeypatch)
    graphed = GraphedModel(model, recorder)
    for depth, hidden in expected.items():
        torch.testing.assert_close(graphed(batch, depth).hidden, hidden, atol=2e-6, rtol=0)
    assert (recorder.recorded, recorder.replayed) == (1, 1 + 2 + 4 + 9)


@torch.inference_mode()
@pytest.mark.parametrize("changes", [{"sharing": "none"}, {"sharing": "groups", "groups": 2}])
def test_layers_that_differ_are_recorded_each(monkeypatch, changes):
    model = build(**changes)
    batch = ragged(random.Random(1), 3, 20)
    wanted = torch.tensor([2, 0])
    expected, some = model(batch).hidden, model(batch, wanted=wanted).hidden
    recorder = Recorder(monkeypatch)
    graphed = GraphedModel(model, recorder)
    torch.testing.assert_close(graphed(batch).hidden, expected, atol=2e-6, rtol=0)
    torch.testing.assert_close(graphed(batch, wanted=wanted).hidden, some, atol=2e-6, rtol=0)
    assert recorder.recorded == (4 if changes["sharing"] == "none" else 2)


@torch.inference_mode()
@pytest.mark.parametrize("sequences", [[1] * 9, [300] * 7])
def test_what_does_not_fit_is_computed_as_before(monkeypatch, sequences):
    """More sequences than there is room for, and more tokens than are worth it."""
    batch = litebert.pack([[7] * length for length in sequences])
    model = build()
    expected = model(batch).hidden
    recorder = Recorder(monkeypatch)
    graphed = GraphedModel(model, recorder)
    monkeypatch.setattr(graphed_model, "MOST_TOKENS", 512)
    torch.testing.assert_close(graphed(batch).hidden, expected, atol=2e-6, rtol=0)
    assert not recorder.recorded


@torch.inference_mode()
def test_requests_at_different_depths(monkeypatch):
    draw, model = random.Random(9), build()
    asked = [
        TokenSequence([draw.randrange(5, 60) for _ in range(draw.randint(2, 40))], 1)
        for _ in range(12)
    ]
    expected = [model(packed_of([each])).hidden for each in asked]
    recorder = Recorder(monkeypatch)
    batcher = DepthBatcher(GraphedModel(model, recorder), DepthContinuous(60))
    places, found = {}, {}
    for place, each in enumerate(asked):
        places[batcher.submit(each)] = place
        found |= {places[answer.number]: answer.hidden for answer in batcher.step()}
    while len(batcher):
        found |= {places[answer.number]: answer.hidden for answer in batcher.step()}
    for place, hidden in enumerate(expected):
        torch.testing.assert_close(found[place], hidden, atol=2e-6, rtol=0)
    assert recorder.replayed > recorder.recorded


@needs_gpu
@torch.inference_mode()
def test_graphs_on_a_gpu():
    draw = random.Random(4)
    shape = {"hidden_size": 128, "heads": 2, "inner_size": 256, "embedding_size": 64}
    model = build(**shape)
    batches = [ragged(draw, draw.randint(1, 20), draw.choice((5, 30, 300))) for _ in range(40)]
    expected = [model(batch, 6).hidden for batch in batches]
    graphed = prepare(copy.deepcopy(model).cuda(), "bf16")
    assert isinstance(graphed, GraphedModel)
    for batch, hidden in zip(batches, expected, strict=True):
        found = graphed(batch.to("cuda"), 6).hidden.float().cpu()
        torch.testing.assert_close(found, hidden, atol=0.15, rtol=0.05)
    # replays, and not only what is computed as before
    assert graphed._replays
