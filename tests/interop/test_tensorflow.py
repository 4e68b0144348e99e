"""Google's checkpoints compute in our model what Google's code computes with them."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from google_forward import CONFIG, forward, variables

import litebert
from litebert.interop.tensorflow import from_arrays, google_config

CASES = {
    "albert": {},
    "groups": {"num_hidden_groups": 2},
    "inner-blocks": {"num_hidden_groups": 2, "inner_group_num": 2},
    "unshared": {"num_hidden_groups": 4},
    "square": {"embedding_size": 24},
    "one-head": {"num_attention_heads": 1, "num_hidden_layers": 2, "intermediate_size": 17},
}
with_cases = pytest.mark.parametrize("changes", CASES.values(), ids=CASES)
with_tensorflow = pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)


def assert_computes_like_google(model: litebert.Model, config: dict, weights) -> None:
    draw = np.random.default_rng(1)
    lengths = [9, 1, 32, 17]
    mask = np.array([[float(place < length) for place in range(32)] for length in lengths])
    ids = draw.integers(config["vocab_size"], size=mask.shape)
    types = draw.integers(2, size=mask.shape)
    hidden, pooled, masked, sentence = forward(weights, config, ids, types, mask)

    rows = list(zip(ids.tolist(), types.tolist(), lengths, strict=True))
    batch = litebert.pack(
        [row[:length] for row, _, length in rows], [kinds[:length] for _, kinds, length in rows]
    )
    with torch.no_grad():
        out = model(batch)
        pairs = (
            (out.hidden, hidden[mask > 0]),
            (out.pooled, pooled),
            (model.mlm_logits(out.hidden), masked[mask > 0]),
            (model.sentence_logits(out.pooled), sentence),
        )
    for ours, theirs in pairs:
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-5, rtol=0)


def write_checkpoint(directory: Path, config: dict, weights, prefix: str = "") -> Path:
    import tensorflow as tf

    directory.mkdir(exist_ok=True)
    (directory / "albert_config.json").write_text(json.dumps(config))
    path = directory / "model.ckpt-best"
    names = list(weights)
    tf.raw_ops.SaveV2(
        prefix=str(path),
        tensor_names=[prefix + name for name in names],
        shape_and_slices=[""] * len(names),
        tensors=[tf.constant(weights[name]) for name in names],
    )
    return path


@with_cases
def test_googles_variables_compute_what_google_computes(changes):
    config = CONFIG | changes
    weights = variables(config)
    model = from_arrays(weights, google_config(config, Path("albert_config.json")))
    assert_computes_like_google(model, config, weights)


def test_every_value_lands_in_the_model():
    weights = variables(CONFIG)
    model = from_arrays(weights, google_config(CONFIG, Path("albert_config.json")))
    theirs = [w for name, w in weights.items() if "adam" not in name and name != "global_step"]
    ours = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    flat = np.concatenate([array.ravel() for array in theirs])
    np.testing.assert_array_equal(np.sort(ours.numpy()), np.sort(flat))


def test_a_missing_head_is_named_and_can_be_allowed():
    weights = {name: w for name, w in variables(CONFIG).items() if "seq_relationship" not in name}
    config = google_config(CONFIG, Path("albert_config.json"))
    with pytest.raises(litebert.InputError, match="2 missing: cls/seq_relationship/output_weights"):
        from_arrays(weights, config)
    model = from_arrays(weights, config, allow=["cls/seq_relationship"])
    fresh = litebert.build(config, seed=0)
    assert torch.equal(model.sentence_head.weight, fresh.sentence_head.weight)
    word_embeddings = torch.from_numpy(weights["bert/embeddings/word_embeddings"])
    assert torch.equal(model.embeddings.tokens.weight, word_embeddings)


def test_groups_that_googles_rounding_misplaces_are_refused():
    values = CONFIG | {"num_hidden_layers": 22, "num_hidden_groups": 22}
    with pytest.raises(litebert.InputError, match="rounding"):
        google_config(values, Path("albert_config.json"))


def test_without_tensorflow_the_error_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "albert_config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "model.ckpt-best.index").touch()
    monkeypatch.setitem(__import__("sys").modules, "tensorflow", None)
    with pytest.raises(litebert.InputError, match=r"pip install 'litebert\[tensorflow\]'"):
        litebert.load(tmp_path)


@with_tensorflow
@with_cases
def test_a_checkpoint_on_disk_computes_what_google_computes(changes, tmp_path):
    config = CONFIG | changes
    weights = variables(config)
    write_checkpoint(tmp_path, config, weights)
    assert_computes_like_google(litebert.load(tmp_path), config, weights)


@with_tensorflow
def test_every_way_to_name_a_checkpoint_loads_it(tmp_path):
    weights = variables(CONFIG)
    prefix = write_checkpoint(tmp_path / "hub", CONFIG, weights, prefix="module/")
    for path in (prefix, f"{prefix}.index", prefix.parent):
        assert_computes_like_google(litebert.load(path), CONFIG, weights)


@with_tensorflow
def test_a_damaged_checkpoint_is_one_line(tmp_path):
    prefix = write_checkpoint(tmp_path, CONFIG, variables(CONFIG))
    index = Path(f"{prefix}.index")
    index.write_bytes(index.read_bytes()[:-20])
    with pytest.raises(litebert.InputError, match="damaged"):
        litebert.load(tmp_path)
    data = Path(f"{write_checkpoint(tmp_path, CONFIG, variables(CONFIG))}.data-00000-of-00001")
    data.write_bytes(data.read_bytes()[: data.stat().st_size // 2])
    with pytest.raises(litebert.InputError, match="damaged"):
        litebert.load(tmp_path)
