"""`litebert convert` and saved directories: transformers loads them, tokenizer included."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import litebert
from litebert.cli.convert import main

transformers = pytest.importorskip("transformers")

CONFIG = litebert.ModelConfig(
    hidden_size=16, heads=2, depth=4, inner_size=24, embedding_size=8, vocab_size=60
)
# transformers' int(9 / (18 / 14)) is 6 by rounding, where 9 * 14 / 18 is 7
ROUNDED = (18, 14)


@pytest.fixture
def vocabulary(tmp_path) -> Path:
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s", "."]
    path = tmp_path / "vocab.txt"
    path.write_text("\n".join(words) + "\n")
    return path


def test_convert_writes_what_transformers_and_we_load(random_model, vocabulary, tmp_path, capsys):
    model = random_model(CONFIG)
    tokenizer = litebert.load_tokenizer(vocabulary)
    litebert.save(model, tokenizer, tmp_path / "run" / "model", card="# A card\n")
    assert main([str(tmp_path / "run"), str(tmp_path / "out"), "--json"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["tokenizer"] is True
    assert result["parameters"] == sum(parameter.numel() for parameter in model.parameters())

    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path / "out")
    encoded = theirs("the cats sat.", "the cat", return_tensors="pt")
    first, second = tokenizer.encode("the cats sat."), tokenizer.encode("the cat")
    ids = [tokenizer.cls_id, *first, tokenizer.sep_id, *second, tokenizer.sep_id]
    types = [0] * (len(first) + 2) + [1] * (len(second) + 1)
    assert encoded["input_ids"][0].tolist() == ids
    assert encoded["token_type_ids"][0].tolist() == types

    encoder = transformers.AutoModel.from_pretrained(tmp_path / "out").eval()
    with torch.no_grad():
        expected = encoder(**encoded).last_hidden_state[0]
        hidden = litebert.load(tmp_path / "out")(litebert.pack([ids], [types])).hidden
    torch.testing.assert_close(hidden, expected, atol=1e-5, rtol=0)


def test_special_ids_and_the_card_are_those_given(random_model, vocabulary, tmp_path):
    litebert.save(
        random_model(CONFIG), litebert.load_tokenizer(vocabulary), tmp_path / "out", card="# Card\n"
    )
    values = json.loads((tmp_path / "out" / "config.json").read_text())
    assert [values[f"{name}_token_id"] for name in ("pad", "bos", "eos")] == [0, 2, 3]
    assert (tmp_path / "out" / "README.md").read_text() == "# Card\n"


@pytest.mark.parametrize("sharing", ["attention", "feed_forward"])
def test_what_transformers_lacks_is_kept_by_us_and_refused_for_export(
    sharing, random_model, tmp_path
):
    model = random_model(replace(CONFIG, sharing=sharing))
    litebert.save(model, None, tmp_path / "ours")
    again = litebert.load(tmp_path / "ours")
    assert again.config == model.config
    for mine, loaded in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(mine, loaded)
    with pytest.raises(litebert.InputError, match="transformers"):
        main([str(tmp_path / "ours"), str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


def test_groups_that_transformers_misplaces_by_rounding_are_kept_by_us(random_model, tmp_path):
    depth, groups = ROUNDED
    model = random_model(replace(CONFIG, sharing="groups", depth=depth, groups=groups))
    litebert.save(model, None, tmp_path / "ours")
    assert litebert.load(tmp_path / "ours").config == model.config
    with pytest.raises(litebert.InputError, match="rounding"):
        main([str(tmp_path / "ours"), str(tmp_path / "out")])


def test_a_loaded_model_is_in_evaluation_mode_whatever_its_dropout(random_model, tmp_path):
    litebert.save(random_model(replace(CONFIG, hidden_dropout=0.5)), None, tmp_path)
    model = litebert.load(tmp_path)
    assert model.config.hidden_dropout == 0.5
    batch = litebert.pack([[2, 5, 6, 3]])
    assert torch.equal(model(batch).hidden, model(batch).hidden)


def test_a_run_without_a_model_says_so(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(litebert.InputError, match="not written its model yet"):
        litebert.load(tmp_path)
