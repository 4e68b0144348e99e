"""Threads and processes of the native pass: cores, servers of several threads, forks, ends."""

import copy
import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from native_models import in_threads, ragged, random_model

from litebert.infer.native import library as native
from litebert.infer.native_model import NativeModel

pytestmark = pytest.mark.skipif(
    native.native_library() is None, reason="no native pass for this processor"
)


CORES = """
import os
allowed = os.sched_getaffinity(0)
import torch, litebert
from litebert.infer.native_model import NativeModel
torch.set_num_threads(8)
answering = NativeModel(litebert.build(litebert.PRESETS["albert-micro"]))
before = set(os.listdir("/proc/self/task"))
with torch.inference_mode():
    answering(litebert.pack([[5] * 70, [6] * 9]))
workers = set(os.listdir("/proc/self/task")) - before
assert len(workers) == min(len(allowed), 8) - 1, (workers, allowed)
for worker in workers:
    cores = os.sched_getaffinity(int(worker))
    # all but the caller's, which OpenMP may have bound to it
    assert len(cores) == len(allowed) - 1
    assert cores | os.sched_getaffinity(0) == allowed
"""


@pytest.mark.parametrize(
    ("cores", "bound"), [(1, {}), (None, {}), (None, {"OMP_PROC_BIND": "true"})]
)
def test_every_thread_has_a_core_of_its_own(cores, bound):
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    code = f"import os\nos.sched_setaffinity(0, {allowed})\n{CORES}"
    environment = {k: v for k, v in os.environ.items() if k != "OMP_NUM_THREADS"} | bound
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)


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


PROCESS = """
import ctypes, os, sys, threading, torch
sys.path.insert(0, {tests!r})
from native_models import ragged, random_model
from litebert.infer import native_model
from litebert.infer.native.library import Request
from litebert.infer.native_model import NativeModel
# PyTorch's own threads do not outlive a fork and end its children badly
torch.set_num_threads(1)
native_model._threads = lambda library: 3
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
    code = PROCESS.format(tests=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "done\n"
