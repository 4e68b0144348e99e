"""`litebert evaluate` against models whose results are known without running them."""

import json
import math
from collections import Counter

import pytest
import torch

from litebert import InputError, ModelConfig, build, load_tokenizer, save
from litebert.cli import evaluate as verb
from litebert.text.batch_settings import BatchSettings
from litebert.text.prepare import prepare
from litebert.text.shards import Shards
from litebert.train.evaluation import held_out_batches
from litebert.train.recipe import PretrainRecipe

WORDS = [f"w{number}" for number in range(40)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]


def documents(count: int, first: int) -> list[list[list[str]]]:
    """Documents of twelve one-sentence paragraphs, of words with very different frequencies."""
    return [
        [
            [" ".join(WORDS[(first + d * s + k * k) % (1 + k % 40)] for k in range(8 + s))]
            for s in range(12)
        ]
        for d in range(count)
    ]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """Shards train/ and valid/, and model/ that predicts by the frequencies in train/."""
    place = tmp_path_factory.mktemp("evaluate")
    (place / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    tokenizer = load_tokenizer(place / "vocab.txt")
    train = documents(60, first=0)
    prepare(train, tokenizer=tokenizer, output=place / "train")
    prepare(documents(40, first=7), tokenizer=tokenizer, output=place / "valid")
    texts = [text for document in train for (text,) in document]
    counts = Counter(word for text in texts for word in text.split())
    smoothed = torch.tensor([1.0 + counts[word] for word in VOCABULARY])
    config = ModelConfig(
        hidden_size=16, heads=2, depth=1, inner_size=16, embedding_size=8, vocab_size=45
    )
    model = build(config)
    with torch.no_grad():
        model.embeddings.tokens.weight.zero_()
        model.sentence_head.weight.zero_()
        model.mlm_head.bias.copy_((smoothed / smoothed.sum()).log())
    save(model, tokenizer, place / "model")
    return place


def run(capsys, *argv: object) -> dict:
    assert verb.main([*map(str, argv), "--precision", "fp32", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_model_of_frequencies_scores_the_unigram_baseline(place, capsys):
    found = run(capsys, place / "model", "--data", place / "valid", "--train", place / "train")
    assert found["unigram_loss"] == pytest.approx(found["mlm_loss"], abs=1e-4)
    assert 1 < found["mlm_loss"] < math.log(len(VOCABULARY))


def test_sentence_accuracy_of_a_constant_answer_is_the_share_in_order(place, capsys):
    found = run(capsys, place / "model", "--data", place / "valid", "--max-length", 64)
    batches = held_out_batches(Shards.open(place / "valid"), BatchSettings(max_length=64))
    labels = [
        label
        for number in range(batches.num_batches)
        for label in batches.batch(number).sentence_labels.tolist()
        if label >= 0
    ]
    assert found["sentences"] == len(labels)
    assert found["sentence_accuracy"] == pytest.approx(labels.count(0) / len(labels))
    low, high = found["sentence_interval"]
    assert low < found["sentence_accuracy"] < high
    assert found["unigram_loss"] is None


def test_batches_limits_what_is_looked_at(place, capsys):
    one = run(capsys, place / "model", "--data", place / "valid", "--batches", 1)
    assert one["batches"] == 1
    assert one["predictions"] == round(0.15 * 4096)


def test_run_directory_brings_its_shards_and_objective(place, capsys, tmp_path):
    recipe = PretrainRecipe(
        data=place / "train", valid=place / "valid", objective="mlm", max_length=32, steps=1
    )
    (tmp_path / "recipe.yaml").write_text(recipe.to_yaml())
    (tmp_path / "model").symlink_to(place / "model")
    found = run(capsys, tmp_path)
    assert (found["objective"], found["max_length"]) == ("mlm", 32)
    assert found["data"] == str(place / "valid")
    assert found["unigram_loss"] == pytest.approx(found["mlm_loss"], abs=1e-4)
    assert found["sentence_accuracy"] is None


def test_line_for_people_has_loss_and_interval(place, capsys):
    assert verb.main([str(place / "model"), "--data", str(place / "valid")]) == 0
    shown = capsys.readouterr()
    assert "masked-LM loss" in shown.out
    assert "sentence accuracy" in shown.out
    assert "[" in shown.out.partition("sentence accuracy")[2]


@pytest.mark.parametrize("option", ["--data", "--train"])
def test_shards_of_another_tokenizer_are_refused(place, tmp_path, option):
    (tmp_path / "vocab.txt").write_text("\n".join([*VOCABULARY, "extra"]) + "\n")
    other = load_tokenizer(tmp_path / "vocab.txt")
    prepare(documents(3, first=1), tokenizer=other, output=tmp_path / "shards")
    argv = [str(place / "model"), "--data", str(place / "valid")]
    with pytest.raises(InputError, match=r"another tokenizer \(46 entries\) than .* \(45\)"):
        verb.main([*argv, option, str(tmp_path / "shards")])


def test_model_without_shards_asks_for_them(place):
    with pytest.raises(InputError, match="--data"):
        verb.main([str(place / "model")])
