"""The native pass against the model in PyTorch, on ragged batches, in builds of both widths."""

import copy
import multiprocessing
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch

import litebert
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


@pytest.fixture(scope="module", params=["own", "narrow", "wide"])
def library(request, tmp_path_factory):
    """What this processor runs, AVX2, and the widths of AVX-512 in AVX2 instructions."""
    if request.param == "own":
        return native.native_library()
    if request.param == "narrow" and native.variant_of_processor() == "avx2":
        pytest.skip("that is what this processor runs")
    extra = ("-DLITEBERT_LANES=16",) if request.param == "wide" else ()
    return native.open_library(build("avx2", tmp_path_factory.mktemp("avx2"), extra=extra))


def random_model(hidden=48, heads=4, inner=100, activation="gelu_erf", **changes) -> Model:
    config = litebert.ModelConfig(
        vocab_size=300, hidden_size=hidden, heads=heads, depth=4, inner_size=inner,
        activation=activation, initializer_range=0.15, **({"embedding_size": 16} | changes),
    )  # fmt: skip
    model = litebert.build(config, seed=3).eval()
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.02)
    return model


def ragged(lengths) -> litebert.PackedBatch:
    draw = torch.Generator().manual_seed(sum(lengths))
    return litebert.pack(
        [torch.randint(300, (length,), generator=draw).tolist() for length in lengths]
    )


def in_threads(count, work):
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        return work()
    finally:
        torch.set_num_threads(before)


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
def test_a_process_on_one_core_answers_too():
    code = """
import os, torch, litebert
from litebert.infer.prepare import prepare
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
torch.set_num_threads(2)
model = litebert.build(litebert.PRESETS["albert-micro"])
packed = litebert.pack([[5] * 70, [6] * 9])
with torch.inference_mode():
    expected = model(packed).hidden
    assert (prepare(model, "fp32")(packed).hidden - expected).abs().max() < 1e-5
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


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


@torch.inference_mode()
def test_two_threads_of_a_server_do_not_mix():
    model = random_model()
    answering = NativeModel(copy.deepcopy(model))
    batches = [ragged((n, 40, 3)) for n in range(1, 9)]
    expected = [model(packed).hidden for packed in batches]
    wrong = []

    def serve(numbers):
        with torch.inference_mode():
            for number in numbers:
                away = (answering(batches[number]).hidden - expected[number]).abs().max()
                if away > 1e-5:
                    wrong.append((number, float(away)))

    servers = [threading.Thread(target=serve, args=([*range(8)] * 5,)) for _ in range(3)]
    for server in servers:
        server.start()
    for server in servers:
        server.join()
    assert not wrong


def _answer(model, packed, results):
    with torch.inference_mode():
        results.put(model(packed).hidden.numpy())


@torch.inference_mode()
def test_a_forked_process_answers_too():
    answering, packed = NativeModel(random_model()), ragged((40, 90, 3))
    here = in_threads(2, lambda: answering(packed).hidden)
    context = multiprocessing.get_context("fork")
    results = context.SimpleQueue()
    child = context.Process(target=_answer, args=(answering, packed, results))
    child.start()
    found = torch.from_numpy(results.get())
    child.join(30)
    assert child.exitcode == 0
    torch.testing.assert_close(found, here, atol=1e-5, rtol=0)


def test_models_that_it_does_not_take_stay_in_pytorch():
    odd = random_model(hidden=45, heads=9)
    assert not has_native_pass(odd)
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


def test_without_a_compiler_pytorch_answers_and_it_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(native, "SOURCES", tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(UserWarning, match="no C\\+\\+ compiler: no-such-compiler"):
        assert native.native_library.__wrapped__() is None
    monkeypatch.setenv("CXX", "false")
    with pytest.warns(UserWarning, match="false failed"):
        assert native.native_library.__wrapped__() is None
    monkeypatch.setattr(native, "variant_of_processor", lambda: None)
    assert native.native_library.__wrapped__() is None


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


PROCESS = """
import ctypes, os, sys, threading, torch
sys.path.insert(0, {tests!r})
from infer.test_native_model import NativeModel, random_model, ragged
from litebert.infer.native.library import Request
# PyTorch's own threads do not outlive a fork and end its children badly
torch.set_num_threads(1)
torch.get_num_threads = lambda: 3
answering, packed = NativeModel(random_model()), ragged((200, 90, 3))
def answer():
    with torch.inference_mode():
        return answering(packed).hidden
answer()
# the call alone: operations of PyTorch abort where the process ends meanwhile
config = answering.config
given = torch.randn(293, config.hidden_size)
out = torch.empty_like(given)
request = Request(
    from_=given.data_ptr(), x=out.data_ptr(), hidden=config.hidden_size,
    heads=config.heads, sequences=3, offsets=packed.offsets.data_ptr(),
)
steps = answering._steps_of(((0, 0, -1),) * 4)
def serve():
    while True:
        assert not answering._library.litebert_pass(32, ctypes.byref(request), steps, 4, 3)
server = threading.Thread(target=serve, daemon=True)
server.start()
for asks in (False, True, False, True):
    child = os.fork()
    if not child:
        if asks:
            assert answer().isfinite().all()
        sys.exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
assert server.is_alive()
print("done")
"""


def test_processes_that_fork_or_end_while_it_works():
    code = PROCESS.format(tests=str(Path(__file__).parents[1]))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
