"""The informed start: frequencies in the bias, attention that begins near each token."""

from dataclasses import replace

import pytest
import torch

import litebert
from litebert.model.initialization import SELF_SCORE, begin_informed
from litebert.model.loss import masked_lm_loss

CONFIG = litebert.ModelConfig(
    hidden_size=128, heads=4, depth=4, inner_size=256, embedding_size=64, vocab_size=2000
)
PLANS = {
    "shared": CONFIG,
    "large embedding": replace(CONFIG, embedding_size=129),
    "two groups": replace(CONFIG, groups=2),
    "unshared": replace(CONFIG, sharing="none"),
    "no projection": replace(CONFIG, embedding_size=128, embedding_projection=False),
}


def zipf(size):
    shares = 1 / torch.arange(1.0, size + 1)
    return shares / shares.sum()


def informed(config):
    model = litebert.build(config, seed=5)
    begin_informed(model, -zipf(config.vocab_size).log())
    return model.eval()


def text(lengths, seed):
    draw = torch.Generator().manual_seed(seed)
    return litebert.pack(
        [torch.randint(0, 2000, (length,), generator=draw).tolist() for length in lengths]
    )


@pytest.mark.parametrize("plan", PLANS)
def test_the_first_loss_is_that_of_the_frequencies(plan):
    model = informed(PLANS[plan])
    frequencies = zipf(2000)
    answers = torch.multinomial(
        frequencies, 4000, replacement=True, generator=torch.Generator().manual_seed(1)
    )
    entropy = -(frequencies * frequencies.log()).sum().item()
    with torch.no_grad():
        out = model(text([100] * 40, seed=0))
        hidden = model.mlm_head.transform(out.hidden)
        loss, _ = masked_lm_loss(
            hidden, model.embeddings.tokens.weight, model.mlm_head.bias, answers
        )
    # logits of deviation .5 around the bias cost .5**2 / 2 nats
    assert loss.item() / 4000 == pytest.approx(entropy + 0.125, abs=0.1)


@pytest.mark.parametrize("plan", PLANS)
def test_attention_begins_near_each_token(plan):
    model = informed(PLANS[plan])
    packed = text([64], seed=2)
    weights = []
    x = model.embeddings(packed, torch.float32)
    with torch.no_grad():
        for attention, feed_forward in model.plan.steps:
            layer = model.attentions[attention]
            q, k, _ = layer.qkv(x).unflatten(-1, (3, 4, 32)).permute(1, 2, 0, 3)
            scores = q @ k.mT / 32**0.5
            own = scores.diagonal(dim1=-2, dim2=-1).mean().item()
            assert own == pytest.approx(SELF_SCORE, rel=0.35)
            weights.append(scores.softmax(-1).mean(0))
            x = model.feed_forwards[feed_forward](layer(x, packed))
    by_distance = [
        torch.stack([w.diagonal(distance) for w in weights]).mean().item()
        for distance in (0, 1, 2, 8)
    ]
    assert by_distance == sorted(by_distance, reverse=True)
    assert by_distance[1] > 2 / 64, "a neighbour gets no more than any token"


def test_other_weights_stay_those_of_the_paper():
    model, plain = informed(CONFIG), litebert.build(CONFIG, seed=5)
    changed = {
        name
        for (name, one), (_, other) in zip(
            model.named_parameters(), plain.named_parameters(), strict=True
        )
        if not torch.equal(one, other)
    }
    assert changed == {
        "embeddings.tokens.weight",
        "embeddings.positions.weight",
        "embeddings.projection.weight",
        "attentions.0.qkv.weight",
        "mlm_head.bias",
    }
    values = [m.attentions[0].qkv.weight[256:] for m in (model, plain)]
    assert torch.equal(*values)
