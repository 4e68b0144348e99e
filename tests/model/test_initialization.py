"""The informed start: frequencies in the bias, heads that begin beside each token."""

from dataclasses import replace

import pytest
import torch

import litebert
from litebert.model.initialization import OFFSETS, POSITIONS_TO_TOKENS, SCORE, begin_informed
from litebert.model.loss import masked_lm_loss

CONFIG = litebert.ModelConfig(
    hidden_size=128, heads=4, depth=4, inner_size=256, embedding_size=64, vocab_size=2000
)
PLANS = {
    "shared": CONFIG,
    "odd and large embedding": replace(CONFIG, embedding_size=129),
    "square projection": replace(CONFIG, embedding_size=128),
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
def test_every_head_begins_at_its_offset(plan):
    model = informed(PLANS[plan])
    packed = text([64], seed=2)
    x = model.embeddings(packed, torch.float32)
    with torch.no_grad():
        for attention, feed_forward in model.plan.steps:
            layer = model.attentions[attention]
            q, k, _ = layer.qkv(x).unflatten(-1, (3, 4, 32)).permute(1, 2, 0, 3)
            weights = (q @ k.mT / 32**0.5).softmax(-1)
            for head, offset in zip(weights, OFFSETS, strict=True):
                by_distance = {d: head.diagonal(d).mean().item() for d in range(-8, 9)}
                assert max(by_distance, key=lambda d: by_distance[d]) == offset
                assert by_distance[offset] > 0.1
            x = model.feed_forwards[feed_forward](layer(x, packed))


def test_scores_are_as_long_as_they_say():
    model = informed(CONFIG)
    x = model.embeddings(text([64], seed=2), torch.float32)
    q, k, _ = model.attentions[0].qkv(x).unflatten(-1, (3, 4, 32)).permute(1, 2, 0, 3)
    scores = q @ k.mT / 32**0.5
    found = [head.diagonal(offset).mean() for head, offset in zip(scores, OFFSETS, strict=True)]
    # only the positions' part of a key is turned to meet the query
    share = POSITIONS_TO_TOKENS**2 / (1 + POSITIONS_TO_TOKENS**2)
    assert torch.stack(found).mean().item() == pytest.approx(SCORE * share, rel=0.2)


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
