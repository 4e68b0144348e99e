"""Weights that do not fit are refused in one line that names them; nothing is loaded in part."""

import json
import tracemalloc

import pytest
import torch
from safetensors.torch import load_file, save_file

import litebert
from litebert.interop import matching

CONFIG = litebert.ModelConfig(
    hidden_size=16, heads=2, depth=2, inner_size=24, embedding_size=8, vocab_size=30
)
QUERY = "albert.encoder.albert_layer_groups.0.albert_layers.0.attention.query.weight"


@pytest.fixture
def saved(tmp_path):
    litebert.save(litebert.build(CONFIG, seed=3), None, tmp_path)
    return tmp_path


def rewrite(directory, change) -> None:
    tensors = load_file(directory / "model.safetensors")
    change(tensors)
    save_file(tensors, directory / "model.safetensors", metadata={"format": "pt"})


def configure(directory, **changes) -> None:
    path = directory / "config.json"
    values = {
        key: value for key, value in json.loads(path.read_text()).items() if key != "litebert"
    }
    path.write_text(json.dumps(values | changes))


def refusal(directory, **options) -> str:
    with pytest.raises(litebert.InputError) as caught:
        litebert.load(directory, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert str(directory) in message
    return message


def test_a_missing_weight(saved):
    rewrite(saved, lambda tensors: tensors.pop(QUERY))
    assert f"1 missing: {QUERY}" in refusal(saved)


def test_an_unexpected_weight(saved):
    rewrite(saved, lambda tensors: tensors.update({"classifier.weight": torch.zeros(2, 16)}))
    assert "1 unexpected: classifier.weight" in refusal(saved)


def test_another_shape(saved):
    rewrite(saved, lambda tensors: tensors.update({QUERY: torch.zeros(16, 15)}))
    assert f"{QUERY} is (16, 15) but should be (16, 16)" in refusal(saved)
    assert QUERY in refusal(saved, allow=[QUERY]), "a shape cannot be allowed"


def test_all_faults_are_named_at_once(saved):
    def change(tensors):
        del tensors["albert.pooler.bias"]
        tensors["extra"] = torch.zeros(1)
        tensors[QUERY] = torch.zeros(3)

    rewrite(saved, change)
    message = refusal(saved)
    assert all(name in message for name in ("albert.pooler.bias", "extra", QUERY))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite(saved, value):
    rewrite(saved, lambda tensors: tensors[QUERY].__setitem__((3, 4), value))
    assert QUERY in refusal(saved)


@pytest.mark.parametrize("share", [0.0, 0.001, 0.5, 0.999])
def test_a_truncated_file(saved, share):
    path = saved / "model.safetensors"
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    assert "cut short or damaged" in refusal(saved)


def test_a_file_that_is_not_weights_at_all(saved):
    (saved / "model.safetensors").unlink()
    (saved / "pytorch_model.bin").write_bytes(b"<html>not found</html>" * 9)
    assert "damaged" in refusal(saved)


def test_a_pickle_of_something_else(saved):
    (saved / "model.safetensors").unlink()
    torch.save([torch.zeros(3)], saved / "pytorch_model.bin")
    refusal(saved)


def test_a_pickle_that_would_run_code_is_not_run(saved, tmp_path):
    class Attack:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    (saved / "model.safetensors").unlink()
    torch.save({"albert.pooler.bias": Attack()}, saved / "pytorch_model.bin")
    refusal(saved)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "absurd",
    [
        {"vocab_size": 10**7},
        {"vocab_size": 10**15},
        {"hidden_size": 10**8, "num_attention_heads": 1},
        {"hidden_size": -16},
        {"hidden_size": 16.5},
        {"hidden_size": "16"},
        {"hidden_size": None},
        {"num_attention_heads": 3},
        {"num_attention_heads": 0},
        {"num_hidden_layers": 10**9},
        {"num_hidden_layers": 200, "num_hidden_groups": 200},
        {"num_hidden_groups": 5},
        {"num_hidden_groups": 0},
        {"inner_group_num": 10**6},
        {"layer_norm_eps": "small"},
        {"hidden_dropout_prob": 1.5},
        {"hidden_act": "relu"},
        {"hidden_act": ["gelu"]},
        {"position_embedding_type": "relative_key"},
        {"model_type": "roberta"},
        {"model_type": ["albert"]},
        {"litebert": 7},
        {"litebert": {"sharing": "sometimes"}},
        {"litebert": {"sharing": ["all"]}},
        {"model_type": "litebert"},
        {"model_type": "litebert", "litebert": {"depth": 10**9}},
        {"model_type": "litebert", "litebert": {"hidden_size": 10**17, "color": 1}},
    ],
    ids=str,
)
def test_an_absurd_configuration_costs_no_memory(saved, absurd, monkeypatch):
    configure(saved, **absurd)
    made = []
    monkeypatch.setattr(matching, "build", lambda *args, **options: made.append(args))
    monkeypatch.setattr(litebert.Model, "to_empty", lambda *args, **options: made.append(args))
    tracemalloc.start()
    try:
        refusal(saved)
        assert not made
        assert tracemalloc.get_traced_memory()[1] < 50e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"model_type": "albert"}', "\xff"])
def test_a_broken_config_file(saved, text):
    (saved / "config.json").write_text(text, encoding="latin-1")
    assert "config.json" in refusal(saved)


def test_a_missing_config_file(saved):
    (saved / "config.json").unlink()
    assert "config.json" in refusal(saved)


def test_a_weight_that_should_be_tied_but_differs(saved):
    table = "albert.embeddings.word_embeddings.weight"
    tied = {"predictions.decoder.weight": load_file(saved / "model.safetensors")[table].clone()}
    rewrite(saved, lambda tensors: tensors.update(tied))
    litebert.load(saved)
    tied["predictions.decoder.weight"][0, 0] += 1
    rewrite(saved, lambda tensors: tensors.update(tied))
    assert "predictions.decoder.weight differs from" in refusal(saved)


def test_an_allowed_missing_head_gets_fresh_weights_and_the_rest_is_loaded(saved):
    before = litebert.load(saved)

    def change(tensors):
        del tensors["sop_classifier.classifier.weight"], tensors["sop_classifier.classifier.bias"]

    rewrite(saved, change)
    assert "2 missing" in refusal(saved)
    after = litebert.load(saved, allow=["sop_classifier"])
    fresh = litebert.build(CONFIG, seed=0)
    for name, parameter in after.named_parameters():
        source = fresh if name.startswith("sentence_head") else before
        assert torch.equal(parameter, source.get_parameter(name)), name


def test_buffers_old_names_and_bare_encoders_are_understood(saved):
    before = litebert.load(saved)

    def change(tensors):
        for name in list(tensors):
            tensor = tensors.pop(name)
            if name.startswith("albert."):
                name = name.removeprefix("albert.")
                name = name.replace("LayerNorm.weight", "LayerNorm.gamma")
                tensors[name.replace("LayerNorm.bias", "LayerNorm.beta")] = tensor
        tensors["embeddings.position_ids"] = torch.arange(512)[None]

    rewrite(saved, change)
    after = litebert.load(saved, allow=["predictions", "sop_classifier"])
    for name, parameter in after.named_parameters():
        if not name.startswith(("mlm_head", "sentence_head")):
            assert torch.equal(parameter, before.get_parameter(name)), name


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "before torch 1.6"])
def test_a_legacy_checkpoint_of_torch_is_read(saved, zipped):
    before = litebert.load(saved)
    torch.save(
        load_file(saved / "model.safetensors"),
        saved / "pytorch_model.bin",
        _use_new_zipfile_serialization=zipped,
    )
    (saved / "model.safetensors").unlink()
    after = litebert.load(saved)
    for mine, other in zip(before.parameters(), after.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_half_precision_is_widened_exactly(saved):
    rewrite(saved, lambda tensors: tensors.update({k: t.bfloat16() for k, t in tensors.items()}))
    weight = litebert.load(saved).pooler.dense.weight
    assert weight.dtype == torch.float32
    stored = load_file(saved / "model.safetensors")["albert.pooler.weight"]
    assert torch.equal(weight.bfloat16(), stored)


@pytest.mark.parametrize("name", ["no such model", "../nothing/here/at-all", "/nowhere", ""])
def test_a_path_that_is_not_there(name):
    with pytest.raises(litebert.InputError, match="path"):
        litebert.load(name)


def test_a_hub_model_that_cannot_be_had(monkeypatch, tmp_path):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(litebert.InputError, match=r"albert/albert-base-v2.*network"):
        litebert.load("albert/albert-base-v2")


def test_a_slip_in_a_path_is_not_looked_for_on_the_hub(saved, monkeypatch):
    def asked(*_: object) -> None:
        raise AssertionError("the hub is asked")

    monkeypatch.setattr("huggingface_hub.hf_hub_download", asked)
    monkeypatch.chdir(saved.parent.parent)
    slip = f"{saved.parent.name}/modle"
    assert f"{slip}: {saved.parent.name} is here and this is not in it" in refusal(slip)
