"""The device that computes, in which arithmetic, and how fast it multiplies matrices."""

import os
import time
from pathlib import Path
from typing import Literal

import torch

from litebert.errors import InputError

Precision = Literal["auto", "bf16", "fp32"]

# Sides of square products: the fastest is the ceiling. Small ones stay in a CPU's caches.
_CPU_SIDES, _GPU_SIDES = (512, 1024, 2048), (4096, 8192)
_SECONDS_A_SIDE = 0.1
_BF16_FLAGS = {"avx512_bf16", "amx_bf16"}


def choose_device(name: str) -> torch.device:
    """The device of a run: the name given, or for "auto" a GPU when there is one.

    Ranks of one machine get a GPU each.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda":
        name = f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    try:
        device = torch.device(name)
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"device={name!r} cannot be used here: {reason}") from None
    return device


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Arithmetic of activations; "auto" takes bf16 on GPUs and where a CPU multiplies it faster.

    On x86 that is where it has instructions for it, whatever else the machine does at the moment;
    elsewhere both are timed.
    """
    if precision != "auto":
        return {"bf16": torch.bfloat16, "fp32": torch.float32}[precision]
    if device.type == "cuda":
        return torch.bfloat16
    if flags := processor_flags():
        return torch.bfloat16 if flags & _BF16_FLAGS else torch.float32
    rates = {
        dtype: product_rate(device, dtype, side=512) for dtype in (torch.float32, torch.bfloat16)
    }
    # only a clear win counts: CPUs without bf16 arithmetic emulate it, several times slower
    faster = 0.8 * rates[torch.bfloat16] > rates[torch.float32]
    return torch.bfloat16 if faster else torch.float32


def processor_flags() -> frozenset[str]:
    """What an x86 processor can do, in the words of Linux; nothing where it does not say."""
    try:
        words = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return frozenset()
    return frozenset(words.partition("flags\t\t:")[2].partition("\n")[0].split())


def precision_of(dtype: torch.dtype) -> Literal["bf16", "fp32"]:
    """An arithmetic by the name that options have for it."""
    return "bf16" if dtype == torch.bfloat16 else "fp32"


def product_rate(device: torch.device, dtype: torch.dtype, *, side: int) -> float:
    """Operations per second of a square matrix product, the best of a tenth of a second."""
    a = torch.ones(side, side, dtype=dtype, device=device)
    best, began = float("inf"), time.perf_counter()
    while best == float("inf") or time.perf_counter() - began < _SECONDS_A_SIDE:
        start = time.perf_counter()
        torch.mm(a, a)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def product_ceiling(device: torch.device, dtype: torch.dtype) -> float:
    """Operations per second that large matrix products reach here, with the threads of the run."""
    sides = _GPU_SIDES if device.type == "cuda" else _CPU_SIDES
    product_rate(device, dtype, side=sides[0])  # wakes threads and clocks
    return max(product_rate(device, dtype, side=side) for side in sides)
