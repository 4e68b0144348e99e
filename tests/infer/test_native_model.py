"""The native pass against the model in PyTorch, on ragged batches, in builds of both widths."""

import copy
import dataclasses
import warnings

import pytest
import torch
from native_models import in_threads, ragged, random_model

import litebert
from litebert.errors import InputError
from litebert.infer import native_model
from litebert.infer.native import library as native
from litebert.infer.native.build import build
from litebert.infer.native_model import NativeModel, has_native_pass
from litebert.infer.prepare import arithmetic_of, prepare
from litebert.infer.quantized import QuantizedLinear, quantize, round_rows
from litebert.model.encoder import Model
from litebert.model.layers import Linear
from litebert.model.windows import Windows

pytestmark = pytest.mark.skipif(
    native.native_library() is None, reason="no native pass for this processor"
)
LENGTHS = ((5,), (1, 1), (33, 17, 90, 2), (130, 130, 130), (200, 3, 150))
# hidden, heads, inner, GELU: heads narrower and wider than a vector, widths that fill no panel
SHAPES = (
    *((48, 4, 100, "gelu_erf"), (128, 2, 512, "gelu_tanh")),
    *((30, 5, 50, "gelu_tanh"), (120, 3, 90, "gelu_erf")),
)


@pytest.fixture(autouse=True)
def threads_beyond_cores(monkeypatch):
    """Some meet here that would have no core of their own: what they compute is the same."""
    monkeypatch.setattr(native_model, "_threads", lambda library: torch.get_num_threads())


@pytest.fixture(scope="module", params=["own", "narrow", "wide"])
def library(request, tmp_path_factory):
    """What this processor runs, AVX2, and the widths of AVX-512 in AVX2 instructions."""
    if request.param == "own":
        return native.native_library()
    if request.param == "narrow" and native.variants_of_processor() == ["avx2"]:
        pytest.skip("that is what this processor runs")
    extra = ("-DLITEBERT_LANES=16",) if request.param == "wide" else ()
    return native.open_library(build("avx2", tmp_path_factory.mktemp("avx2"), extra=extra))


@torch.inference_mode()
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("lengths", LENGTHS)
def test_fp32_is_the_model(library, shape, lengths):
    model, packed = random_model(*shape), ragged(lengths)
    answering = NativeModel(model, library)
    wanted = torch.tensor([0, sum(lengths) - 1, 0])
    for depth in (None, 1, 6):
        expected = model(packed, depth)
        asked = model(packed, depth, wanted=wanted)
        for threads in (1, 2, 3):
            found = in_threads(threads, lambda depth=depth: answering(packed, depth))
            torch.testing.assert_close(found.hidden, expected.hidden, atol=1e-5, rtol=0)
            torch.testing.assert_close(found.pooled, expected.pooled, atol=1e-5, rtol=0)
            few = in_threads(threads, lambda depth=depth: answering(packed, depth, wanted=wanted))
            torch.testing.assert_close(few.hidden, asked.hidden, atol=1e-5, rtol=0)
            torch.testing.assert_close(few.pooled, asked.pooled, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("radius", [None, 8])
@pytest.mark.parametrize("wanted", [[0, 300, 302], [5, 5, 391, 301], [299], list(range(392))])
def test_wanted_rows_are_those_of_the_whole(library, radius, wanted):
    model = random_model(hidden=120, heads=3)
    answering, packed = NativeModel(copy.deepcopy(model), library), ragged((300, 2, 90))
    x_TH, layout = answering.embed(packed)
    rows = torch.tensor(wanted)
    expected = model.apply_step(x_TH, layout, (0, 0), radius=radius)[rows]
    found = answering.apply_step(x_TH, layout, (0, 0), rows, radius=radius)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_a_sequence_does_not_see_its_neighbours(library):
    answering = NativeModel(random_model(), library)
    packed = ragged((40, 7, 99))
    together = packed.unpack(answering(packed).hidden)
    for ids, found in zip(packed.unpack(packed.tokens), together, strict=True):
        alone = answering(litebert.pack([ids.tolist()])).hidden
        torch.testing.assert_close(found, alone, atol=1e-5, rtol=0)


@torch.inference_mode()
def test_embeddings_as_wide_as_the_model_are_not_projected(library):
    model, packed = random_model(embedding_size=48, embedding_projection=False), ragged((50, 3))
    assert model.embeddings.projection is None
    found = NativeModel(model, library)(packed)
    torch.testing.assert_close(found.hidden, model(packed).hidden, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("part", ["tokens", "positions", "segments"])
@pytest.mark.parametrize("number", [-1, 1000])
def test_an_id_that_no_table_has_is_refused(library, part, number):
    packed = ragged((5, 4))
    getattr(packed, part)[3] = number
    with pytest.raises(IndexError, match="does not have"):
        NativeModel(random_model(), library)(packed)


@torch.inference_mode()
@pytest.mark.parametrize(
    "changes",
    [
        {"lengths": (60,)},
        {"lengths": (5, 5)},
        {"lengths": (3, 2)},
        {"lengths": (5, 4, 0)},
        {"lengths": (10, -1)},
        {"lengths": ()},
        {"segments": torch.zeros(1, dtype=torch.long)},
        {"positions": torch.zeros(8, dtype=torch.long)},
        {"tokens": torch.zeros(9, dtype=torch.long, device="meta")},
        {"segments": torch.zeros(9, dtype=torch.long, device="meta")},
        {"tokens": torch.zeros(3, 3, dtype=torch.long)},
    ],
)
def test_a_batch_that_disagrees_with_itself_is_refused(changes):
    packed = dataclasses.replace(ragged((5, 4)), **changes)
    with pytest.raises(InputError):
        NativeModel(random_model())(packed)


@torch.inference_mode()
def test_hidden_states_that_are_not_the_layouts_are_refused():
    answering = NativeModel(random_model())
    x_TH, layout = answering.embed(ragged((5, 4)))
    meta = dataclasses.replace(layout, tokens=torch.zeros(9, dtype=torch.long, device="meta"))
    for hidden, lies, rows in (
        (x_TH[:8], layout, None),
        (x_TH[:, :40], layout, None),
        (x_TH.to("meta"), layout, None),
        (x_TH, meta, None),
        (x_TH, layout, torch.zeros(2, dtype=torch.long, device="meta")),
    ):
        with pytest.raises(InputError):
            answering.apply_step(hidden, lies, (0, 0), rows)
    for first in (x_TH[:, :40], x_TH.to("meta")):
        with pytest.raises(InputError):
            answering.pooler(first)


@torch.inference_mode()
@pytest.mark.parametrize("sharing", ["none", "attention", "feed_forward"])
def test_every_layer_takes_its_own_weights(library, sharing):
    model, packed = random_model(sharing=sharing), ragged((9, 30))
    found = NativeModel(model, library)(packed).hidden
    torch.testing.assert_close(found, model(packed).hidden, atol=1e-5, rtol=0)


@torch.inference_mode()
@pytest.mark.parametrize("shape", SHAPES)
def test_bf16_is_as_near_to_fp32_as_pytorch(library, shape):
    model, packed = random_model(*shape), ragged((33, 17, 90, 2))
    exact = model(packed).hidden
    model.compute_dtype = torch.bfloat16
    answering = NativeModel(model, library)
    assert answering.arithmetic == "bf16"
    found, pytorch = ((each(packed).hidden - exact).square().mean() for each in (answering, model))
    assert 0 < found <= pytorch


@torch.inference_mode()
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("smoothed", [False, True])
def test_int8_is_the_rounded_model(library, shape, smoothed):
    model, packed = random_model(*shape), ragged((33, 17, 90, 2))
    exact = model(packed, 1).hidden
    quantize(model)
    if smoothed:
        _smooth(model)
    # attention in bf16, as wide builds have it, is no part of rounding the layers
    wide = library.litebert_panel() == 64
    expected = model(packed, 1).hidden
    answering = NativeModel(model, library)
    assert answering.arithmetic == "int8"
    away = (answering(packed, 1).hidden - expected).abs()
    # a sum that falls on the other side of a half rounds otherwise, in a few rows
    assert away.median() <= (0.01 if wide else 2e-6)
    assert away.mean() < 0.1 * (expected - exact).abs().mean() or wide
    assert away.mean() < (expected - exact).abs().mean()


def _smooth(model: Model) -> None:
    for block in (*model.attentions, *model.feed_forwards):
        for name, layer in list(block.named_children()):
            if isinstance(layer, QuantizedLinear):
                real = Linear(*reversed(layer.weight.shape))
                real.weight.data = layer.weight.float() * layer.scales[:, None]
                real.bias.data = layer.bias
                factors = torch.linspace(0.5, 2.0, layer.weight.shape[1])
                setattr(block, name, QuantizedLinear.of(real, factors))


def test_rounding_is_off_by_half_a_step_at_most():
    torch.manual_seed(0)
    x = torch.randn(40, 30) * torch.logspace(-3, 3, 40)[:, None]
    x[7] = 1.5
    rounded, scale, lowest = round_rows(x)
    back = lowest + scale * rounded.float()
    assert ((back - x).abs() <= 0.5001 * scale).all()
    assert torch.equal(back[7], x[7])
    layer = Linear(30, 20)
    torch.nn.init.normal_(layer.weight)
    found = QuantizedLinear.of(layer)
    away = (found.weight * found.scales[:, None] - layer.weight).abs()
    assert (away <= 0.5001 * found.scales[:, None]).all()
    assert (found.weight.abs().amax(1) == 127).all()


def test_models_that_it_does_not_take_stay_in_pytorch():
    odd = random_model(hidden=45, heads=9)
    assert not has_native_pass(odd)
    with pytest.warns(UserWarning, match="int8"):
        answering = prepare(odd, "int8")
    assert not isinstance(answering, NativeModel)
    assert arithmetic_of(answering) == "int8"
    with torch.inference_mode():
        assert answering(ragged((5, 9))).hidden.isfinite().all()


@torch.inference_mode()
@pytest.mark.parametrize("radius", [1, 8, 63, 128, 500])
@pytest.mark.parametrize("full_every", [0, 3])
@pytest.mark.parametrize("lengths", [(1,), (300, 2, 90), (64, 65, 128)])
def test_windows_are_those_of_the_model(library, radius, full_every, lengths):
    model, packed = random_model(*SHAPES[1]), ragged(lengths)
    model.windows = Windows(radius, full_every)
    expected = model(packed)
    found = in_threads(2, lambda: NativeModel(model, library)(packed))
    torch.testing.assert_close(found.hidden, expected.hidden, atol=1e-5, rtol=0)
    torch.testing.assert_close(found.pooled, expected.pooled, atol=1e-5, rtol=0)


def test_int_8_in_pytorch_is_slow_and_it_is_said():
    with pytest.warns(UserWarning, match="int8 without the native pass is slower") as said:
        prepare(random_model(hidden=45, heads=9), "int8")
    assert len(said) == 1
    assert "\n" not in str(said[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        prepare(random_model(hidden=45, heads=9), "fp32")
        prepare(random_model(), "int8")


@torch.inference_mode()
def test_it_stays_in_evaluation_mode_whatever_asked_it():
    model = random_model(hidden_dropout=0.5, attention_dropout=0.5)
    engine = prepare(model, "fp32")
    assert isinstance(engine, NativeModel)
    assert not any(module.training for module in engine.modules())


@torch.inference_mode()
def test_a_process_default_does_not_change_what_the_pass_gets():
    model, packed = random_model(), ragged((9, 30))
    expected = model(packed).hidden
    answering = NativeModel(model)
    x_TH, filled = answering.embed(packed)
    torch.set_default_dtype(torch.float64)
    try:
        for step in (step for layer in answering.layers() for step in layer):
            x_TH = answering.apply_step(x_TH, filled, step)
    finally:
        torch.set_default_dtype(torch.float32)
    torch.testing.assert_close(x_TH[:39], expected, atol=1e-5, rtol=0)
    with pytest.raises(IndexError, match="not there"):
        answering(packed, wanted=torch.tensor([39 + 64]))


@torch.inference_mode()
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
@pytest.mark.parametrize("where", ["query", "key", "inner", "pooler"])
def test_a_nan_is_seen(library, precision, where):
    model, packed = random_model(), ragged((9, 30))
    qkv, inner = model.attentions[0].qkv.bias, model.feed_forwards[0].inner.bias
    bias, place = {
        "query": (qkv, 3),
        "key": (qkv, model.config.hidden_size + 3),
        "inner": (inner, 3),
        "pooler": (model.pooler.dense.bias, 3),
    }[where]
    bias[place] = torch.nan
    if precision == "int8":
        quantize(model)
    elif precision == "bf16":
        model.compute_dtype = torch.bfloat16
    found = NativeModel(model, library)(packed)
    if where == "pooler":
        assert found.pooled[:, 3].isnan().all()
    else:
        assert found.hidden.isnan().all()
        assert found.pooled.isnan().all()
