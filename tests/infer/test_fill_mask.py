"""Fill-mask gives what transformers gives for the saved model, and refuses what has no answer."""

import io
import json
import math
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from litebert import InputError, ModelConfig, load_tokenizer, pack, save
from litebert.cli import fill_mask as verb
from litebert.cli.main import main
from litebert.infer.fill_mask import fill_mask

SHARED = Path(__file__).resolve().parents[2] / "../shared"
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
WORDS = ["the", "red", "fox", "saw", "a", "dog", "and", "run", "small", "##s", "##ning"]
VOCABULARY = [*SPECIAL, *WORDS, "!", ".", ","]
SHAPE = {"hidden_size": 32, "heads": 4, "depth": 2, "inner_size": 48, "vocab_size": 19}
CONFIGS = {
    "albert": ModelConfig(**SHAPE, embedding_size=8),
    "bert": ModelConfig(**SHAPE, embedding_size=32, embedding_projection=False, sharing="none"),
}
TEXTS = [
    "the red [MASK] runs.",
    "[MASK]",
    "the [MASK] saw a small [MASK], running!",
]


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocabulary") / "vocab.txt"
    path.write_text("\n".join(VOCABULARY) + "\n")
    return load_tokenizer(path)


@pytest.mark.parametrize("family", CONFIGS)
@pytest.mark.parametrize("text", TEXTS)
def test_answers_are_those_of_transformers(tmp_path, random_model, tokenizer, family, text):
    compare_with_transformers(random_model(CONFIGS[family]), tokenizer, text, tmp_path)


@pytest.mark.parametrize("text", ["The Capital of France is [MASK].", "un[MASK]able 12 [MASK]"])
def test_answers_are_those_of_transformers_with_the_released_vocabulary(
    tmp_path, random_model, text
):
    path = SHARED / "data/vocab/albert-30k-clean.model"
    if not path.exists():
        pytest.skip("needs ../shared/data")
    model = random_model(replace(CONFIGS["albert"], vocab_size=30_000))
    compare_with_transformers(model, load_tokenizer(path), text, tmp_path)


def compare_with_transformers(model, tokenizer, text, directory):
    """Save the model, ask transformers' pipeline, and compare pieces and probabilities."""
    transformers = pytest.importorskip("transformers")
    save(model, tokenizer, directory)
    pipeline = transformers.pipeline("fill-mask", model=str(directory), top_k=5)
    theirs = pipeline(text)
    theirs = [theirs] if text.count("[MASK]") == 1 else theirs
    ours = fill_mask(model, tokenizer, text, top=5)
    assert len(ours) == len(theirs) == text.count("[MASK]")
    for answer, expected in zip(ours, theirs, strict=True):
        assert [token for token, _ in answer] == [choice["token_str"] for choice in expected]
        probabilities = torch.tensor([share for _, share in answer])
        scores = torch.tensor([choice["score"] for choice in expected])
        torch.testing.assert_close(probabilities, scores, atol=1e-6, rtol=1e-4)


def test_probabilities_of_the_whole_vocabulary_sum_to_one(random_model, tokenizer):
    model = random_model(CONFIGS["albert"])
    (answer,) = fill_mask(model, tokenizer, "a [MASK] dog", top=len(VOCABULARY))
    assert math.isclose(sum(share for _, share in answer), 1, abs_tol=1e-5)
    assert {token for token, _ in answer} == set(VOCABULARY)


def test_bf16_ranks_pieces_as_their_logits_in_fp32(tmp_path, random_model):
    words = [f"w{number}" for number in range(500)]
    (tmp_path / "vocab.txt").write_text("\n".join([*SPECIAL, *words]) + "\n")
    tokenizer = load_tokenizer(tmp_path / "vocab.txt")
    model = random_model(replace(CONFIGS["albert"], vocab_size=505))
    model.compute_dtype = torch.bfloat16
    with torch.no_grad():
        hidden = model(pack([[tokenizer.cls_id, tokenizer.mask_id, tokenizer.sep_id]])).hidden[1:2]
        assert hidden.dtype == torch.bfloat16
        exact = model.double().mlm_logits(hidden.double())[0].softmax(-1)
    (answer,) = fill_mask(model.float(), tokenizer, "[MASK]", top=505)
    shares = torch.tensor([share for _, share in answer], dtype=torch.float64)
    torch.testing.assert_close(shares, exact.sort(descending=True).values, atol=0, rtol=1e-4)
    assert len(shares.unique()) > 495


def test_training_mode_is_left_as_it_was(random_model, tokenizer):
    model = random_model(ModelConfig(**SHAPE, embedding_size=8, hidden_dropout=0.5))
    quiet = fill_mask(model, tokenizer, "a [MASK] dog")
    model.train()
    assert fill_mask(model, tokenizer, "a [MASK] dog") == quiet
    assert model.training


@pytest.mark.parametrize(
    ("text", "top", "message"),
    [
        ("the red fox", 5, "no \\[MASK\\] in 'the red fox'"),
        ("", 5, "no \\[MASK\\]"),
        ("a [MASK]", 0, "top=0"),
        ("a [MASK]", 20, "between 1 and 19"),
        ("fox " * 600 + "[MASK]", 5, "512 positions"),
    ],
)
def test_questions_without_an_answer_are_refused(random_model, tokenizer, text, top, message):
    model = random_model(CONFIGS["albert"])
    with pytest.raises(InputError, match=message):
        fill_mask(model, tokenizer, text, top=top)


def test_verb_prints_one_json_object(tmp_path, random_model, tokenizer, capsys, monkeypatch):
    model = random_model(CONFIGS["albert"])
    save(model, tokenizer, tmp_path)
    typed = io.BytesIO("\ufeffa [MASK] dog\r\n\n[MASK] fox\n".encode())
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(typed, encoding="utf-8"))
    arguments = [str(tmp_path), TEXTS[0], "-", "--top", "2", "--precision", "fp32", "--json"]
    assert verb.main(arguments) == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["text"] for one in found["texts"]] == [TEXTS[0], "a [MASK] dog", "[MASK] fox"]
    for one in found["texts"]:
        (answer,) = fill_mask(model, tokenizer, one["text"], top=2)
        (choices,) = one["answers"]
        assert [choice["token"] for choice in choices] == [token for token, _ in answer]
        shares = [choice["probability"] for choice in choices]
        assert shares == pytest.approx([share for _, share in answer])


def test_verb_shows_every_mask_of_every_text(tmp_path, random_model, tokenizer, capsys):
    model = random_model(CONFIGS["albert"])
    save(model, tokenizer, tmp_path)
    assert verb.main([str(tmp_path), TEXTS[2], "--top", "3"]) == 0
    shown = capsys.readouterr().out
    for answer in fill_mask(model, tokenizer, TEXTS[2], top=3):
        for token, share in answer:
            assert token in shown
            assert f"{share:.1%}" in shown


def test_text_that_is_not_utf8_is_one_line(tmp_path, random_model, tokenizer, capsys, monkeypatch):
    save(random_model(CONFIGS["albert"]), tokenizer, tmp_path)
    typed = io.BytesIO(b"a [MASK]\nthe \xff [MASK]\n")
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(typed, encoding="utf-8"))
    assert main(["fill-mask", str(tmp_path), "-"]) == 2
    said = capsys.readouterr().err
    assert said == "litebert fill-mask: standard input:2: text that is not UTF-8: convert it\n"
    given = os.fsdecode(b"the \xff [MASK]")
    assert main(["fill-mask", str(tmp_path), "a [MASK]", given]) == 2
    said = capsys.readouterr().err
    assert said.startswith("litebert fill-mask: text 2, 'the \\udcff [MASK]': text that is not UTF")
    assert said.count("\n") == 1


def test_model_saved_for_masked_lm_alone_is_enough(tmp_path, random_model, tokenizer, capsys):
    transformers = pytest.importorskip("transformers")
    model = random_model(CONFIGS["albert"])
    save(model, tokenizer, tmp_path)
    alone = transformers.AlbertForMaskedLM.from_pretrained(tmp_path)
    alone.save_pretrained(tmp_path / "alone")
    tokenizer.save(tmp_path / "alone")
    assert verb.main([str(tmp_path / "alone"), TEXTS[0], "--json"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["texts"]
    (answer,) = fill_mask(model, tokenizer, TEXTS[0])
    assert [choice["token"] for choice in one["answers"][0]] == [token for token, _ in answer]


def test_verb_without_texts_says_what_to_write(tmp_path):
    with pytest.raises(InputError, match="no text given"):
        verb.main([str(tmp_path)])
