"""Packing is invisible: a batch of any lengths gives what its sequences give one by one."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import litebert
from litebert.model.attention import attend, attend_reference

TINY = litebert.ModelConfig(
    hidden_size=16, heads=2, depth=2, inner_size=16, embedding_size=8, vocab_size=40
)
LENGTHS = st.lists(
    st.integers(1, 512) | st.integers(1, 9) | st.sampled_from([1, 511, 512]), min_size=1, max_size=6
)


def tiny_model() -> litebert.Model:
    model = litebert.build(TINY, seed=1).eval()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return model


def test_packed_equals_one_by_one():
    model = tiny_model()

    @settings(max_examples=1000, deadline=None, derandomize=True, database=None)
    @given(lengths=LENGTHS, seed=st.integers(0, 2**31))
    def check(lengths, seed):
        generator = torch.Generator().manual_seed(seed)
        ids = [torch.randint(40, (length,), generator=generator).tolist() for length in lengths]
        types = [torch.randint(2, (length,), generator=generator).tolist() for length in lengths]
        batch = litebert.pack(ids, types)
        with torch.no_grad():
            together = model(batch)
            for row, (sequence, kinds) in enumerate(zip(ids, types, strict=True)):
                alone = model(litebert.pack([sequence], [kinds]))
                packed = batch.unpack(together.hidden)[row]
                torch.testing.assert_close(packed, alone.hidden, atol=1e-5, rtol=0)
                torch.testing.assert_close(together.pooled[row], alone.pooled[0], atol=1e-5, rtol=0)

    check()


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(lengths=LENGTHS.map(lambda lengths: [1 + length // 6 for length in lengths]))
def test_attend_is_its_definition_with_its_gradients(lengths):
    generator = torch.Generator().manual_seed(sum(lengths))
    shape = (sum(lengths), 3, 2, 5)
    qkv = torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
    batch = litebert.pack([[1] * length for length in lengths])
    outputs, gradients = [], []
    for function in (attend, attend_reference):
        out = function(qkv, batch)
        weights = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).double()
        (gradient,) = torch.autograd.grad((out * weights).sum(), qkv)
        outputs.append(out)
        gradients.append(gradient)
    torch.testing.assert_close(*outputs, atol=1e-12, rtol=0)
    torch.testing.assert_close(*gradients, atol=1e-12, rtol=0)


def test_no_token_of_one_sequence_reaches_another():
    model = tiny_model()
    batch = litebert.pack([[2, 5, 6, 3], [2, 7, 3], [2, 8, 9, 10, 11, 3]])
    hidden = batch.unpack(model(batch).hidden)[1]
    (gradient,) = torch.autograd.grad(hidden.square().sum(), model.embeddings.tokens.weight)
    touched = gradient.abs().sum(1).nonzero().flatten().tolist()
    assert touched == [2, 3, 7]
