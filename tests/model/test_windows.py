"""Attention in windows against a dense mask, and whole models with it."""

import pytest
import torch
from torch.testing import assert_close
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import litebert
from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.policies import Static
from litebert.model.attention import attend
from litebert.model.windows import Windows, window_attention, window_attention_reference

SHAPE = ModelConfig(
    hidden_size=32, heads=2, depth=4, inner_size=64, embedding_size=16, vocab_size=50,
    max_positions=64,
)  # fmt: skip


@pytest.mark.parametrize("radius", [1, 3, 8, 50])
@pytest.mark.parametrize("lengths", [(1,), (7,), (40, 1, 16, 33), (4, 9, 2, 51, 5, 52), (64, 64)])
def test_windows_are_a_dense_mask(radius, lengths):
    generator = torch.Generator().manual_seed(radius)
    packed = litebert.pack([[5] * length for length in lengths])
    total = sum(lengths)
    qkv = torch.randn(total, 3, 2, 8, generator=generator, requires_grad=True)
    weights = torch.randn(total, 2, 8, generator=generator)
    found, expected = (
        function(qkv, packed, radius) for function in (window_attention, window_attention_reference)
    )
    assert_close(found, expected, atol=1e-6, rtol=1e-5)
    gradients = [torch.autograd.grad((out * weights).sum(), qkv)[0] for out in (found, expected)]
    assert_close(*gradients, atol=1e-5, rtol=1e-5)


def test_a_window_over_everything_is_full_attention():
    packed = litebert.pack([[5] * 20, [6] * 9])
    qkv = torch.randn(29, 3, 2, 8, generator=torch.Generator().manual_seed(1))
    assert_close(window_attention(qkv, packed, 20), attend(qkv, packed), atol=1e-6, rtol=1e-5)


class Largest(TorchDispatchMode):
    """Elements of the largest tensor that is made."""

    elements = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        made = func(*args, **(kwargs or {}))
        sizes = [each.numel() for each in tree_leaves(made) if isinstance(each, torch.Tensor)]
        self.elements = max(self.elements, *sizes, 0)
        return made


@pytest.mark.parametrize("more", [(), (1500,)])
def test_short_sequences_are_not_filled_up_to_a_wide_window(more):
    packed = litebert.pack([[5] * length for length in (*[8] * 64, *more)])
    qkv = torch.randn(len(packed.tokens), 3, 1, 4)
    with torch.inference_mode(), Largest() as largest:
        window_attention(qkv, packed, 512)
    # the long one has two rows of 1024 queries and 2049 keys
    assert largest.elements <= (2 * 1024 * 2049 if more else 64 * 8 * 3 * 4)


def test_layers_in_turn():
    windows = Windows(5, full_every=3)
    assert [windows.radius_of(layer) for layer in range(5)] == [None, 5, 5, None, 5]
    assert [Windows(5, full_every=0).radius_of(layer) for layer in range(2)] == [5, 5]
    with pytest.raises(InputError, match="radius=0"):
        Windows(0)


def test_a_model_with_windows_sees_less_and_only_where_asked():
    model = litebert.build(SHAPE, seed=1).eval()
    ids = torch.randint(5, 50, (60,), generator=torch.Generator().manual_seed(2)).tolist()
    plain = model(litebert.pack([ids])).hidden
    model.windows = Windows(60)
    assert_close(model(litebert.pack([ids])).hidden, plain, atol=1e-5, rtol=1e-4)
    model.windows = Windows(2, full_every=0)
    narrow = model(litebert.pack([ids])).hidden
    assert float((narrow - plain).detach().abs().max()) > 1e-3
    by_depth = model.pooled_at_every_depth(litebert.pack([ids]))
    assert_close(by_depth[-1], model(litebert.pack([ids])).pooled, atol=1e-6, rtol=1e-5)
    wanted = torch.tensor([3, 50])
    part = model(litebert.pack([ids]), wanted=wanted).hidden
    assert_close(part, narrow[wanted], atol=1e-6, rtol=1e-5)
    # one layer: a far token changes nothing here, but for [CLS]
    far = [*ids[:-1], 7 if ids[-1] != 7 else 8]
    one, other = (model(litebert.pack([each]), 1).hidden for each in (ids, far))
    changed = (one - other).abs().amax(1) > 1e-6
    assert changed.nonzero().flatten().tolist() == [0, 57, 58, 59]
    with pytest.raises(InputError, match="windows"):
        DepthBatcher(model, Static(9))


def test_longer_than_it_was_made_for():
    model = litebert.build(SHAPE, seed=1).eval()
    ids = list(range(5, 45))
    before = model(litebert.pack([ids])).hidden
    with pytest.raises(InputError, match="already"):
        model.extend_positions(10)
    model.extend_positions(150)
    assert model.config.max_positions == 150
    table = model.embeddings.positions.weight
    assert torch.equal(table[64:128], table[:64])
    assert torch.equal(table[128:], table[:22])
    assert torch.equal(model(litebert.pack([ids])).hidden, before)
    model.windows = Windows(16)
    assert model(litebert.pack([ids * 3])).hidden.shape == (120, 32)
