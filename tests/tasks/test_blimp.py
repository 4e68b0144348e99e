"""Pseudo-log-likelihoods against transformers one mask at a time, and BLiMP's way of counting."""

import json

import numpy as np
import pytest
import torch
import transformers

import litebert
from litebert.cli.main import main
from litebert.errors import InputError
from litebert.tasks.blimp import MinimalPair, read_blimp, score_blimp
from litebert.tasks.pseudo_likelihood import pseudo_log_likelihoods
from shared_data import SHARED

SHAPE = litebert.ModelConfig(
    hidden_size=16, heads=2, depth=2, inner_size=32, embedding_size=8, vocab_size=30000
)


@pytest.fixture(scope="module")
def saved(albert, tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    model = litebert.build(SHAPE, seed=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.3)
    litebert.save(model, albert, place)
    return place


@pytest.mark.parametrize("within_word", [False, True])
def test_one_mask_at_a_time_gives_the_same(saved, albert, within_word):
    texts = ["The cats annoy Tim.", "a", "", "Unbelievableness of hippopotamuses!"]
    found = pseudo_log_likelihoods(litebert.load(saved), albert, texts, within_word=within_word)
    theirs = transformers.AlbertForMaskedLM.from_pretrained(saved).eval()
    starts = albert.word_starts()
    for text, value in zip(texts, found, strict=True):
        ids = albert.encode(text)
        expected = 0.0
        for place in range(len(ids)):
            masked = list(ids)
            masked[place] = albert.mask_id
            following = place + 1
            while within_word and following < len(ids) and not starts[ids[following]]:
                masked[following] = albert.mask_id
                following += 1
            row = torch.tensor([[albert.cls_id, *masked, albert.sep_id]])
            with torch.no_grad():
                logits = theirs(row, token_type_ids=torch.zeros_like(row)).logits
            expected += float(logits[0, place + 1].log_softmax(-1)[ids[place]])
        assert value == pytest.approx(expected, abs=1e-4)


def test_ties_are_wrong_and_paradigms_count_alike():
    pairs = [MinimalPair("g", "b", "p", "f")] * 3 + [MinimalPair("g", "b", "q", "f")]
    found = score_blimp(pairs, np.array([1.0, 2, 3, 4]), np.array([1.0, 1, 1, 5]))
    assert found.paradigms == {"p": pytest.approx(200 / 3), "q": 0}
    assert found.fields == {"f": pytest.approx(100 / 3)}
    assert found.overall == pytest.approx(100 / 3)


def test_official_rows(saved, tmp_path, capsys):
    pairs = read_blimp(SHARED / "blimp/blimp-100.jsonl.gz")
    assert len(pairs) == 6700
    assert len({pair.paradigm for pair in pairs}) == 67
    assert len({pair.field for pair in pairs}) == 4
    rows = [
        {"sentence_good": p.good, "sentence_bad": p.bad, "UID": p.paradigm, "field": p.field}
        for p in pairs[::200]
    ]
    for name in ("a", "b"):
        lines = "".join(json.dumps(row) + "\n" for row in rows[name == "b" :: 2])
        (tmp_path / f"{name}.jsonl").write_text(lines)
    assert main(["evaluate", str(saved), "--blimp", str(tmp_path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["pairs"] == 34
    assert 0 <= found["overall"] <= 100


def test_what_is_not_blimp_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no \.jsonl files"):
        read_blimp(tmp_path)
    (tmp_path / "a.jsonl").write_text('{"sentence_good": "a"}\n')
    with pytest.raises(InputError, match=r"a\.jsonl:1: is no pair of BLiMP"):
        read_blimp(tmp_path)
