"""Heads give what transformers' classes give, both ways; the paper's head what float64 gives."""

import numpy as np
import pytest
import torch
import transformers

import litebert
from litebert.interop.task_models import load_encoder, load_task_model, save_task_model
from litebert.model.task_heads import AnswerabilityHead, TaskModel, initialise
from litebert.tasks.kinds import kind_of
from litebert.tasks.units import TokenSequence, Unit, collate
from tiny_runs import tiny_tokenizer

ALBERT = litebert.ModelConfig(
    hidden_size=24, heads=2, depth=3, inner_size=40, embedding_size=12, vocab_size=70
)
BERT = litebert.ModelConfig(
    hidden_size=24, heads=2, depth=2, inner_size=40, embedding_size=24, vocab_size=70,
    sharing="none", embedding_projection=False,
)  # fmt: skip
KINDS = {
    "classification": (3, "AutoModelForSequenceClassification"),
    "regression": (0, "AutoModelForSequenceClassification"),
    "multilabel": (4, "AutoModelForSequenceClassification"),
    "tagging": (5, "AutoModelForTokenClassification"),
    "span": (0, "AutoModelForQuestionAnswering"),
    "choice": (0, "AutoModelForMultipleChoice"),
}
IDS = [[2, 7, 8, 9, 3, 11, 12, 3], [2, 20, 3, 21, 3]]
FIRST = [5, 3]


def fine_tuned(config, name, seed=3):
    kind = kind_of(name, labels=[f"L{n}" for n in range(KINDS[name][0])], settings={})
    model = TaskModel(litebert.build(config, seed=seed), kind.head(config, 0.1))
    initialise(model.head, deviation=0.3, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)
    return model.eval(), kind


def units():
    return [
        Unit(n, (TokenSequence(ids, first),))
        for n, (ids, first) in enumerate(zip(IDS, FIRST, strict=True))
    ]


def our_scores(model, kind):
    """Raw scores of both sequences, as one row or one row a token."""
    arguments = [None, None] if kind.kind == "span" else []
    packed = collate(units())
    with torch.no_grad():
        if kind.kind == "span":
            return list(model.head.qa_outputs(model.encoder(packed).hidden).split([8, 5]))
        scores = model(packed, *arguments)
    return list(scores.split([8, 5])) if kind.kind == "tagging" else list(scores)


def their_scores(model, kind):
    rows = []
    for ids, first in zip(IDS, FIRST, strict=True):
        inputs = {
            "input_ids": torch.tensor([ids]),
            "attention_mask": torch.ones(1, len(ids), dtype=torch.long),
            "token_type_ids": (torch.arange(len(ids)) >= first).long()[None],
        }
        if kind.kind == "choice":
            inputs = {name: value[None] for name, value in inputs.items()}
        with torch.no_grad():
            out = model(**inputs)
        if kind.kind == "span":
            rows.append(torch.stack([out.start_logits[0], out.end_logits[0]], -1))
        else:
            rows.append(out.logits[0])
    return rows


@pytest.mark.parametrize("config", [ALBERT, BERT], ids=["albert", "bert"])
@pytest.mark.parametrize("name", KINDS)
def test_saved_heads_are_those_of_transformers(tmp_path, config, name):
    model, kind = fine_tuned(config, name)
    save_task_model(model, kind, tiny_tokenizer(tmp_path), tmp_path / "m", task="t", card="c")
    theirs, notes = getattr(transformers, KINDS[name][1]).from_pretrained(
        tmp_path / "m", output_loading_info=True
    )
    assert not notes["missing_keys"]
    assert not notes["mismatched_keys"]
    for one, other in zip(our_scores(model, kind), their_scores(theirs.eval(), kind), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)
    again = load_task_model(tmp_path / "m")
    assert (again.task, again.kind.labels) == ("t", kind.labels)
    for one, other in zip(our_scores(model, kind), our_scores(again.model, kind), strict=True):
        torch.testing.assert_close(one, other, atol=0, rtol=0)


@pytest.mark.parametrize("family", ["Albert", "Bert"])
@pytest.mark.parametrize("name", KINDS)
def test_models_of_transformers_are_read(tmp_path, family, name):
    config = getattr(transformers, f"{family}Config")(
        vocab_size=70, hidden_size=24, num_attention_heads=2, num_hidden_layers=2,
        intermediate_size=40, embedding_size=12, max_position_embeddings=64,
        num_labels=KINDS[name][0] or (1 if name == "regression" else 2),
        problem_type={"multilabel": "multi_label_classification"}.get(name),
    )  # fmt: skip
    torch.manual_seed(4)
    theirs = getattr(transformers, KINDS[name][1]).from_config(config).eval()
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    theirs.save_pretrained(tmp_path)
    tiny_tokenizer(tmp_path).save(tmp_path)
    ours = load_task_model(tmp_path)
    assert ours.kind.kind == name
    found = zip(our_scores(ours.model, ours.kind), their_scores(theirs, ours.kind), strict=True)
    for one, other in found:
        torch.testing.assert_close(one, other, atol=1e-5, rtol=0)


def test_encoder_of_another_task_starts_a_new_one(tmp_path):
    model, kind = fine_tuned(ALBERT, "classification")
    save_task_model(model, kind, tiny_tokenizer(tmp_path), tmp_path / "m", task="mnli", card="c")
    encoder, note = load_encoder(tmp_path / "m")
    assert note == "the head of mnli is left out: classifier.bias, classifier.weight"
    torch.testing.assert_close(
        encoder(collate(units())).pooled, model.encoder(collate(units())).pooled, atol=0, rtol=0
    )


def test_encoder_of_a_model_of_tokens_gets_a_pooler(tmp_path):
    config = transformers.AlbertConfig(
        hidden_size=24, num_attention_heads=2, num_hidden_layers=3, intermediate_size=40,
        embedding_size=12, vocab_size=70,
    )  # fmt: skip
    theirs = transformers.AlbertForTokenClassification(config)
    theirs.save_pretrained(tmp_path)
    tiny_tokenizer(tmp_path).save(tmp_path)
    encoder, note = load_encoder(tmp_path)
    assert note is not None
    assert note.endswith("a pooler that is not there begins with random weights")
    hidden = encoder.eval()(collate(units())).hidden.split([8, 5])[0]
    with torch.no_grad():
        wanted = theirs.eval().albert(
            torch.tensor(IDS[:1]), token_type_ids=torch.tensor([[0] * 5 + [1] * 3])
        )
    torch.testing.assert_close(hidden, wanted.last_hidden_state[0], atol=1e-5, rtol=0)


def test_paper_head_is_its_definition():
    """reference: Google's run_squad_v2.py as float64 arithmetic, one sequence at a time."""
    head = AnswerabilityHead(ALBERT, 0.1).eval()
    initialise(head, deviation=0.5, seed=1)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)
    model = TaskModel(litebert.build(ALBERT, seed=2), head).eval()
    packed = collate(units())
    allowed = torch.tensor([1, 0, 0, 0, 0, 1, 1, 0, 1, 0, 0, 1, 0], dtype=torch.bool)
    with torch.no_grad():
        hidden = model.encoder(packed).hidden.double().numpy()
        learned = model(packed, allowed, torch.tensor([5, 3]))
        found = model(packed, allowed, None)
    w = {name: value.double().numpy() for name, value in head.state_dict().items()}

    def log_softmax(x):
        return x - x.max() - np.log(np.exp(x - x.max()).sum())

    def norm(x):
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / scale * w["end_norm.weight"] + w["end_norm.bias"]

    begin = 0
    for row, (ids, gold) in enumerate(zip(IDS, (5, 3), strict=True)):
        h, mask = hidden[begin : begin + len(ids)], allowed[begin : begin + len(ids)].numpy()
        begin += len(ids)
        starts = log_softmax(np.where(mask, h @ w["start.weight"][0] + w["start.bias"], -1e30))
        np.testing.assert_allclose(found.starts[row, : len(ids)][mask], starts[mask], atol=1e-5)

        def ends(start, h=h, mask=mask):
            pair = np.concatenate([h, np.broadcast_to(h[start], h.shape)], -1)
            inner = norm(np.tanh(pair @ w["end_inner.weight"].T + w["end_inner.bias"]))
            return log_softmax(np.where(mask, inner @ w["end.weight"][0] + w["end.bias"], -1e30))

        np.testing.assert_allclose(learned.ends[row, : len(ids)][mask], ends(gold)[mask], atol=1e-5)
        for k in range(int(mask.sum())):  # the rest of the candidates cannot be chosen
            start = int(found.candidates[row, k])
            assert start == int(np.argsort(-starts, kind="stable")[k])
            got = found.ends[row, k, : len(ids)]
            np.testing.assert_allclose(got[mask], ends(start)[mask], atol=1e-5)
        expected = (np.exp(starts)[:, None] * h).sum(0)
        inner = np.tanh(
            np.concatenate([expected, h[0]]) @ w["null_inner.weight"].T + w["null_inner.bias"]
        )
        np.testing.assert_allclose(found.null[row], inner @ w["null.weight"][0], atol=1e-5)
