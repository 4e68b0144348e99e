"""The kernel for packed tokens: what it is asked, and on a GPU what it answers."""

import pytest
import torch

import litebert
from litebert.model import attention

LENGTHS = [3, 128, 1, 77, 40, 512]


def packed_of_lengths():
    return litebert.pack([[1] * length for length in LENGTHS])


def test_kernel_is_asked_for_whole_sequences(monkeypatch):
    """A stand-in with the documented meaning of every argument gives the definition's numbers."""

    def by_offsets(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k):
        assert cu_seq_q.dtype == cu_seq_k.dtype == torch.int32
        assert (max_q, max_k) == (512, 512)
        outputs = []
        for begin, end in zip(cu_seq_q.tolist(), cu_seq_q.tolist()[1:], strict=False):
            q, k, v = (part[begin:end].transpose(0, 1) for part in (query, key, value))
            scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
            outputs.append((scores.softmax(-1) @ v).transpose(0, 1))
        return torch.cat(outputs)

    monkeypatch.setattr("torch.nn.attention.varlen.varlen_attn", by_offsets)
    batch = packed_of_lengths()
    qkv = torch.randn(sum(LENGTHS), 3, 2, 5, dtype=torch.float64)
    found = attention._packed_attend(qkv, batch)
    torch.testing.assert_close(found, attention.attend_reference(qkv, batch), atol=1e-12, rtol=0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("lengths", [LENGTHS, [128] * 4])
def test_attention_and_its_gradients_on_a_gpu(lengths):
    batch = litebert.pack([[1] * length for length in lengths]).to("cuda")
    qkv = torch.randn(sum(lengths), 3, 4, 64, device="cuda", requires_grad=True)
    expected = attention.attend_reference(qkv, batch)
    found = attention.attend(qkv.bfloat16(), batch)
    torch.testing.assert_close(found.float(), expected, atol=0.03, rtol=0.03)
    weights = torch.randn_like(expected)
    gradients = [
        torch.autograd.grad((out.float() * weights).sum(), qkv)[0] for out in (expected, found)
    ]
    torch.testing.assert_close(gradients[1], gradients[0], atol=0.06, rtol=0.06)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_encoder_on_a_gpu():
    config = litebert.ModelConfig(
        hidden_size=128, heads=2, depth=3, inner_size=256, embedding_size=64, vocab_size=300
    )
    model = litebert.build(config, seed=2).eval()
    batch = litebert.pack([[2, *range(5, 5 + length), 3] for length in (3, 200, 41)])
    expected = model(batch).hidden
    model.compute_dtype = torch.bfloat16
    found = model.cuda()(batch.to("cuda")).hidden.float().cpu()
    torch.testing.assert_close(found, expected, atol=0.15, rtol=0.05)
