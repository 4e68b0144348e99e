"""The engine against the model it was loaded from."""

import pickle
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import litebert
from litebert.errors import InputError
from litebert.infer.engine import Engine
from litebert.infer.exits import Exits
from litebert.infer.fill_mask import fill_mask
from litebert.interop.load import load, weights_of
from litebert.interop.task_models import load_task_model, save_task_model
from litebert.model.task_heads import TaskModel, initialise
from litebert.model.windows import Windows
from litebert.tasks.answering import answer
from litebert.tasks.kinds import kind_of
from litebert.tasks.problems import Problems
from tiny_runs import WORDS, tiny_tokenizer

SHAPE = litebert.ModelConfig(
    hidden_size=32, heads=2, depth=4, inner_size=64, embedding_size=16, vocab_size=65,
    max_positions=64,
)  # fmt: skip
TEXTS = [" ".join(WORDS[start : start + count]) for start, count in
         ((0, 3), (4, 20), (1, 1), (9, 40), (2, 7), (5, 50))]  # fmt: skip


def shaken(module: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.1)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    place = tmp_path_factory.mktemp("pretrained")
    model = litebert.build(SHAPE, seed=1)
    shaken(model)
    litebert.save(model, tiny_tokenizer(place), place / "model")
    return place / "model"


def tuned(place, name, labels=("no", "yes", "maybe"), **changes):
    place.mkdir(exist_ok=True)
    kind = kind_of(name, labels=list(labels), settings={"max_length": 64} | changes)
    model = TaskModel(litebert.build(SHAPE, seed=1), kind.head(SHAPE, 0.1))
    initialise(model.head, deviation=0.3, seed=2)
    shaken(model)
    save_task_model(model, kind, tiny_tokenizer(place), place / "tuned", task="mine", card="")
    return place / "tuned"


@torch.inference_mode()
@pytest.mark.parametrize("depth", [None, 2, 7])
@pytest.mark.parametrize("pooling", ["mean", "first", "pooled"])
def test_vectors_are_those_of_the_model_text_by_text(pretrained, depth, pooling):
    model, tokenizer = load(pretrained), tiny_tokenizer(pretrained.parent)
    engine = Engine.load(pretrained, precision="fp32")
    found = engine.embed(TEXTS, depth=depth, pooling=pooling, normalise=False)
    for text, vector in zip(TEXTS, found, strict=True):
        ids = [tokenizer.cls_id, *tokenizer.encode(text), tokenizer.sep_id]
        out = model(litebert.pack([ids]), depth)
        expected = {"mean": out.hidden.mean(0), "first": out.hidden[0], "pooled": out.pooled[0]}
        np.testing.assert_allclose(vector, expected[pooling].numpy(), atol=1e-5)
    back = engine.embed(TEXTS[::-1], depth=depth, pooling=pooling, normalise=False)[::-1]
    np.testing.assert_allclose(back, found, atol=1e-5)
    lengths = np.linalg.norm(engine.embed(TEXTS, depth=depth, pooling=pooling), axis=1)
    np.testing.assert_allclose(lengths, 1.0, atol=1e-6)
    assert engine.embed([]).shape == (0, 32)


def test_where_pytorch_multiplies_weights_are_cast_once_and_the_bits_stay(pretrained, monkeypatch):
    monkeypatch.setattr("litebert.infer.prepare.has_native_pass", lambda model: False)
    model = load(pretrained)
    model.compute_dtype = torch.bfloat16
    packed = litebert.pack([[2, 7, 9, 11, 3], [2, 8, 3]])
    engine = Engine.load(pretrained, precision="bf16")
    weights = engine.model.attentions[0].qkv.weight, engine.model.pooler.dense.weight
    assert {weight.dtype for weight in weights} == {torch.bfloat16}
    assert engine.model.embeddings.tokens.weight.dtype == torch.float32
    with torch.inference_mode():
        before, after = model(packed), engine.model(packed)
        assert torch.equal(before.hidden, after.hidden)
        assert torch.equal(before.pooled, after.pooled)
        assert torch.equal(model.mlm_logits(before.hidden), engine.model.mlm_logits(after.hidden))


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize(("precision", "error"), [("fp32", 1e-5), ("bf16", 0.05), ("int8", 0.1)])
def test_every_arithmetic_answers_nearly_alike(pretrained, monkeypatch, native, precision, error):
    if not native:
        monkeypatch.setattr("litebert.infer.prepare.has_native_pass", lambda model: False)
    exact = Engine.load(pretrained, precision="fp32").embed(TEXTS)
    engine = Engine.load(pretrained, precision=precision)
    assert engine.precision == precision
    away = np.linalg.norm(engine.embed(TEXTS) - exact, axis=1)
    assert away.max() < error
    assert (away.max() > 1e-5) == (precision != "fp32")


def test_long_texts_are_cut_and_said(pretrained):
    engine = Engine.load(pretrained, precision="fp32")
    long = " ".join(WORDS * 5)
    with pytest.warns(UserWarning, match="1 texts are cut to 64 tokens"):
        found = engine.embed([long, TEXTS[0]])
    assert found.shape == (2, 32)


def test_documents_longer_than_the_model_was_made_for(pretrained):
    long = " ".join(WORDS * 3)
    engine = Engine.load(pretrained, precision="fp32", windows=Windows(8), positions=256)
    model = load(pretrained)
    model.extend_positions(256)
    model.windows = Windows(8)
    ids = [2, *tiny_tokenizer(pretrained.parent).encode(long), 3]
    assert len(ids) > 100
    with torch.inference_mode():
        expected = model(litebert.pack([ids])).hidden.mean(0)
    (found,) = engine.embed([long], normalise=False)
    np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)


def test_masks(pretrained):
    tokenizer = tiny_tokenizer(pretrained.parent)
    engine = Engine.load(pretrained, precision="fp32")
    text = f"{WORDS[0]} [MASK] {WORDS[1]}"
    (found,), (expected,) = (
        engine.fill_mask(text, top=3), fill_mask(load(pretrained), tokenizer, text, top=3)
    )  # fmt: skip
    assert [piece for piece, _ in found] == [piece for piece, _ in expected]
    np.testing.assert_allclose([p for _, p in found], [p for _, p in expected], atol=1e-6)
    assert engine.fill_mask(text, depth=1) != engine.fill_mask(text)
    with pytest.raises(InputError, match="not fine-tuned"):
        engine.predict(["text"])
    with pytest.raises(InputError, match="list of texts"):
        engine.embed("text")


def test_a_head_that_was_not_saved_answers_nothing(tmp_path, pretrained):
    engine = Engine.load(tuned(tmp_path, "classification"), precision="fp32")
    with pytest.raises(InputError, match="without its mlm_head"):
        engine.fill_mask("a [MASK]")
    assert engine.embed(TEXTS, pooling="pooled").shape == (6, 32)
    # saved for masked LM alone, as some hub models are
    place = tmp_path / "mlm"
    shutil.copytree(pretrained, place)
    tensors = load_file(place / "model.safetensors")
    kept = {n: t for n, t in tensors.items() if "pooler" not in n and "sop_classifier" not in n}
    assert len(kept) < len(tensors)
    save_file(kept, place / "model.safetensors")
    engine = Engine.load(place, precision="fp32")
    assert engine.fill_mask(f"{WORDS[0]} [MASK]")
    with pytest.raises(InputError, match="without its pooler"):
        engine.embed(TEXTS, pooling="pooled")


def test_predictions_at_any_depth_and_early(tmp_path):
    place = tuned(tmp_path, "classification")
    engine = Engine.load(place, precision="fp32")
    with pytest.raises(InputError, match="litebert exits"):
        engine.predict(TEXTS, early=True)
    save_exits(place)
    engine, reference = Engine.load(place, precision="fp32"), load_task_model(place)
    with pytest.raises(InputError, match="exclude"):
        engine.predict(TEXTS, early=True, depth=2)

    def lines(depth):
        units = reference.kind.units(
            [_example(text) for text in TEXTS], reference.tokenizer, Problems()
        )
        return answer(reference.model, reference.kind, units, depth=depth)

    by_depth = {depth: lines(depth) for depth in (1, 2, 3, 4)}
    for depth in (None, 1, 3):
        found = engine.predict(TEXTS, depth=depth)
        for line, expected in zip(found, by_depth[depth or 4], strict=True):
            assert list(line["probabilities"]) == ["no", "yes", "maybe"]
            np.testing.assert_allclose(list(line["probabilities"].values()), expected, atol=2e-6)
    early = engine.predict(TEXTS, early=True)
    left = [line["layers"] for line in early]
    assert min(left) < 4
    for number, line in enumerate(early):
        sure = [np.ptp(sorted(by_depth[depth][number])[-2:]) >= 0.2 for depth in (1, 2, 3)]
        assert line["layers"] == (sure.index(True) + 1 if any(sure) else 4)
        expected = by_depth[line["layers"]][number]
        np.testing.assert_allclose(list(line["probabilities"].values()), expected, atol=2e-6)


def test_threads_that_ask_at_different_depths_get_their_own_answers(tmp_path):
    engine = Engine.load(tuned(tmp_path, "classification"), precision="fp32")
    expected = {depth: engine.predict(TEXTS, depth=depth) for depth in (1, 3, None)}
    assert expected[1] != expected[None]

    def ask(depth):
        return all(engine.predict(TEXTS, depth=depth) == expected[depth] for _ in range(60))

    with ThreadPoolExecutor() as pool:
        assert all(pool.map(ask, (1, 3, None, 1)))


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda engine: engine.embed(TEXTS, pooling="max"), "pooling='max': one of mean, first"),
        (lambda engine: engine.embed(["a", None]), "text 2: None: give a text"),
        (lambda engine: engine.predict(["a", float("nan")]), "text 2: nan: give a text, a pair"),
        (lambda engine: engine.predict([("a", None)]), "text 1: "),
        (lambda engine: engine.predict(["a", " "]), "text 2: an empty text"),
        (lambda engine: engine.predict(TEXTS, depth=2.5), "depth=2.5: give a whole number"),
        (lambda engine: engine.predict(TEXTS, depth="2"), "depth='2': give a whole number"),
    ],
)
def test_what_is_no_text_is_named(tmp_path, ask, message):
    engine = Engine.load(tuned(tmp_path, "classification"), precision="fp32")
    with pytest.raises(InputError) as problem:
        ask(engine)
    assert message in str(problem.value)
    assert "left out" not in str(problem.value)
    with pytest.raises(InputError, match="precision='int4': one of auto, bf16, fp32, int8"):
        Engine.load(tmp_path / "tuned", precision="int4")


def test_pairs_and_single_texts_are_not_mistaken(tmp_path):
    of_pairs = Engine.load(tuned(tmp_path / "a", "classification", pairs=True))
    assert of_pairs.predict([("w1", "w2")]) != of_pairs.predict([("w1", "w3")])
    names = np.array(["w1", "w2"])
    assert of_pairs.predict([(names[0], names[1])]) == of_pairs.predict([("w1", "w2")])
    with pytest.raises(InputError, match="text 1: one text, and the model reads pairs"):
        of_pairs.predict(["w1"])
    single = Engine.load(tuned(tmp_path / "b", "classification", pairs=False))
    with pytest.raises(InputError, match="text 1: a pair, and the model reads single texts"):
        single.predict([("w1", "w2")])


def test_early_answers_of_a_model_from_nowhere(tmp_path, monkeypatch):
    place = tuned(tmp_path, "classification")
    save_exits(place)
    found = load_task_model(place)
    # what lies in the folder one happens to be in is of another model
    monkeypatch.chdir(place)
    engine = Engine(found.model.encoder, found.tokenizer, tuned=found, precision="fp32")
    with pytest.raises(InputError, match=r"take Engine\.load"):
        engine.predict(TEXTS, early=True)


def test_an_engine_that_is_pickled_says_what_to_do(pretrained):
    with pytest.raises(TypeError, match="load one in each process"):
        pickle.dumps(Engine.load(pretrained))


def test_nothing_asked_is_nothing_answered(tmp_path):
    place = tuned(tmp_path, "classification")
    save_exits(place)
    engine = Engine.load(place, precision="fp32")
    assert engine.predict([]) == engine.predict([], early=True) == []


def _example(text):
    from litebert.tasks.example import TextExample

    return TextExample(id="1", place="here:1", first=text)


def save_exits(place, **changes):
    values = {"patience": 1, "margin": 0.2, "risk": 0.1, "confidence": 0.95, "rows": 9,
              "disagreement": 0.0, "mean_layers": 2.0, "weights": weights_of(place)}  # fmt: skip
    Exits(**values | changes).save(place)


def test_exits_of_other_weights_or_arithmetic(tmp_path):
    place = tuned(tmp_path, "classification")
    save_exits(place, weights="0123")
    with pytest.raises(InputError, match="other weights"):
        Engine.load(place).predict(TEXTS, early=True)
    # answers at full depth have nothing to do with it
    assert len(Engine.load(place).predict(TEXTS)) == len(TEXTS)
    save_exits(place, precision="bf16")
    with pytest.raises(InputError, match="calibrated in bf16"):
        Engine.load(place, precision="fp32").predict(TEXTS, early=True)
    with pytest.raises(InputError, match="without a task"):
        Engine.load(place, positions=99)


def test_pairs_and_rows_of_other_kinds(tmp_path):
    engine = Engine.load(tuned(tmp_path, "classification"), precision="fp32")
    pair = engine.predict([(TEXTS[0], TEXTS[2])])
    assert pair != engine.predict([TEXTS[0]])
    assert pair == engine.predict([{"text": TEXTS[0], "second": TEXTS[2]}])
    with pytest.raises(InputError, match="text"):
        engine.predict([{"words": "no text here"}])
    with pytest.raises(InputError, match="a pair of texts"):
        engine.predict([("a", "b", "c")])
    span = Engine.load(tuned(tmp_path / "span", "span", labels=()), precision="fp32")
    (line,) = span.predict([{"question": "w1?", "context": TEXTS[1]}])
    assert line["prediction"] in TEXTS[1]
    save_exits(tmp_path / "span/tuned")
    span = Engine.load(tmp_path / "span/tuned", precision="fp32")
    with pytest.raises(InputError, match="for classes"):
        span.predict([{"question": "w1?", "context": TEXTS[1]}], early=True)
