"""`litebert describe`: the paper's sizes to the unit, and formulas that agree with real models."""

import json

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

import litebert
from litebert.cli.describe import describe, find, main
from litebert.model import block
from litebert.model.attention import attend_reference
from litebert.model.flops import forward_flops
from litebert.model.size import (
    attention_parameters,
    embedding_parameters,
    encoder_parameters,
    feed_forward_parameters,
    head_parameters,
)

SMALL = {
    "all": {},
    "attention": {"sharing": "attention"},
    "feed_forward": {"sharing": "feed_forward"},
    "groups": {"sharing": "groups", "groups": 2, "inner_blocks": 3},
    "none": {"sharing": "none"},
    "no projection": {"embedding_size": 24, "embedding_projection": False},
    "odd": {"segment_types": 5, "max_positions": 33, "inner_size": 7, "vocab_size": 13},
}
# shapes of google-research/albert's variables, summed by hand
PUBLISHED = {
    "albert-base": (11_683_584, 11_813_810),
    "albert-large": (17_683_968, 17_847_474),
    "albert-xlarge": (58_724_864, 59_021_490),
    "albert-xxlarge": (222_595_584, 223_158_450),
}


def small(changes) -> litebert.ModelConfig:
    values = {"hidden_size": 24, "heads": 3, "depth": 4, "inner_size": 40, "embedding_size": 16}
    return litebert.ModelConfig(**values | {"vocab_size": 50} | changes)


def count(*modules) -> int:
    return sum(parameter.numel() for module in modules for parameter in module.parameters())


def test_published_sizes(capsys):
    assert main([*PUBLISHED, "--json"]) == 0
    models = json.loads(capsys.readouterr().out)["models"]
    for name, (encoder, with_heads) in PUBLISHED.items():
        assert models[name]["encoder_with_pooler"] == encoder
        assert models[name]["with_pretraining_heads"] == with_heads
        assert models[name]["weights_fp32_bytes"] == 4 * with_heads
    assert (
        models["albert-base"]["embeddings_unfactorised"] > 5 * models["albert-base"]["embeddings"]
    )


@pytest.mark.parametrize("changes", SMALL.values(), ids=SMALL)
def test_formulas_count_what_a_real_model_has(changes):
    config = small(changes)
    model = litebert.build(config)
    heads = (model.mlm_head, model.sentence_head)
    assert head_parameters(config) == count(*heads)
    assert encoder_parameters(config) == count(model) - count(*heads)
    assert embedding_parameters(config) == count(model.embeddings)
    assert attention_parameters(config) == count(model.attentions[0])
    assert feed_forward_parameters(config) == count(model.feed_forwards[0])


@pytest.mark.parametrize("changes", SMALL.values(), ids=SMALL)
def test_forward_flops_are_those_that_torch_counts(changes, monkeypatch):
    # torch does not count inside its fused attention kernel for CPUs
    monkeypatch.setattr(block, "attend", lambda qkv, packed, dropout: attend_reference(qkv, packed))
    config = small(changes)
    model = litebert.build(config).eval()
    rows, length, predicted = 4, 20, 8
    batch = litebert.pack([[1] * length] * rows)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = model(batch, wanted=torch.arange(1, 1 + predicted))
        model.mlm_logits(out.hidden)
        model.sentence_logits(out.pooled)
    tokens = rows * length
    expected = forward_flops(config, length=length, mask_rate=predicted / tokens) * tokens
    assert counter.get_total_flops() == pytest.approx(expected, rel=1e-12)


def test_a_directory_is_described_like_its_preset(tmp_path):
    preset = litebert.PRESETS["albert-micro"]
    litebert.save(litebert.build(preset), None, tmp_path / "run" / "model")
    assert describe(find(str(tmp_path / "run")), length=128) == describe(preset, length=128)


def test_another_vocabulary_changes_only_what_depends_on_it(capsys):
    main(["albert-base", "--vocab-size", "8000", "--json"])
    counts = json.loads(capsys.readouterr().out)["models"]["albert-base"]
    assert counts["encoder_with_pooler"] == PUBLISHED["albert-base"][0] - 22_000 * 128
    assert counts["one_block"] == 7_087_872


def test_the_table_shows_every_number_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    main(list(PUBLISHED))
    shown = capsys.readouterr().out
    for numbers in PUBLISHED.values():
        assert all(f"{number:,}" in shown for number in numbers)


def test_an_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(litebert.InputError, match="did you mean albert-xlarge"):
        main(["albert-xlrge"])
    with pytest.raises(litebert.InputError, match="presets are"):
        main(["gpt"])
