"""The native pass as Python calls it: found or built, loaded once, its interface typed."""

import ctypes
import os
import platform
import warnings
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from functools import cache
from pathlib import Path

from litebert.hardware import processor_flags
from litebert.infer.native.build import SOURCES, VARIANTS, build, is_whole, library_name

# The kernel's names for some of what compilers call otherwise.
_KERNEL = {"avx512vnni": "avx512_vnni", "avx512bf16": "avx512_bf16"}


class Product(Structure):
    """A dense layer as products.h has it."""

    _fields_ = [
        ("inputs", c_int64),
        ("outputs", c_int64),
        ("weights", c_void_p),
        ("scales", c_void_p),
        ("sums", c_void_p),
        ("bias", c_void_p),
        ("factors", c_void_p),
    ]


class Norm(Structure):
    """A LayerNorm as rows.h has it."""

    _fields_ = [("weight", c_void_p), ("bias", c_void_p), ("epsilon", c_float)]


class AttentionWeights(Structure):
    """An attention sublayer as pass.h has it."""

    _fields_ = [("qkv", Product), ("output", Product), ("norm", Norm)]


class FeedForwardWeights(Structure):
    """A feed-forward sublayer as pass.h has it."""

    _fields_ = [("inner", Product), ("output", Product), ("norm", Norm), ("tanh", c_int64)]


class Step(Structure):
    """Which weights a layer takes, and how far it attends."""

    _fields_ = [
        ("attention", POINTER(AttentionWeights)),
        ("feed_forward", POINTER(FeedForwardWeights)),
        ("radius", c_int64),
    ]


class Embeddings(Structure):
    """Tables of embeddings and what follows them, as embedding.h has it."""

    _fields_ = [
        ("tokens", c_void_p),
        ("segments", c_void_p),
        ("positions", c_void_p),
        ("vocabulary", c_int64),
        ("types", c_int64),
        ("places", c_int64),
        ("width", c_int64),
        ("norm", Norm),
        ("projection", POINTER(Product)),
    ]


class Request(Structure):
    """Packed sequences and what is asked of them, as pass.h has it."""

    _fields_ = [
        ("from_", c_void_p),
        ("x", c_void_p),
        ("hidden", c_int64),
        ("heads", c_int64),
        ("sequences", c_int64),
        ("offsets", c_void_p),
        ("wanted", c_void_p),
        ("wanted_count", c_int64),
    ]


def open_library(path: Path) -> ctypes.CDLL:
    """A built library with the types of its functions."""
    library = ctypes.CDLL(str(path))
    library.litebert_panel.restype = c_int64
    library.litebert_laid_bytes.argtypes = [c_int64, c_int64, c_int64]
    library.litebert_laid_bytes.restype = c_int64
    library.litebert_lay.argtypes = [c_int64, c_void_p, c_int64, c_int64, c_void_p]
    library.litebert_lay.restype = None
    library.litebert_threads.argtypes, library.litebert_threads.restype = [c_int64], c_int64
    library.litebert_pass.argtypes = [c_int64, POINTER(Request), POINTER(Step), c_int64, c_int64]
    library.litebert_pass.restype = c_int
    library.litebert_embed.argtypes = [
        *(POINTER(Embeddings), c_void_p, c_void_p, c_void_p),
        *(c_int64, c_void_p, c_int64),
    ]
    library.litebert_embed.restype = c_int
    library.litebert_pool.argtypes = [POINTER(Product), c_void_p, c_int64, c_void_p, c_int64]
    library.litebert_pool.restype = c_int
    return library


@cache
def native_library() -> ctypes.CDLL | None:
    """The native pass for this processor; None, with a warning, where it cannot be had.

    Linux on x86-64 with AVX2 and more; anything else computes in PyTorch.
    """
    reason = None
    for variant in variants_of_processor():
        for place in (SOURCES, _cache):
            try:
                return _found_or_built(variant, place() if callable(place) else place)
            except (OSError, RuntimeError) as error:
                reason = error
    if reason is not None:
        warnings.warn(f"answers come from PyTorch, more slowly: {reason}", stacklevel=2)
    return None


def _found_or_built(variant: str, place: Path) -> ctypes.CDLL:
    """Raises OSError or RuntimeError where a library can be neither opened nor built."""
    built = place / library_name(variant)
    try:
        if is_whole(built):
            return open_library(built)
    except OSError:  # absent, or made for another C library: built here or elsewhere
        pass
    return open_library(build(variant, place))


def _cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "litebert"


def variants_of_processor() -> list[str]:
    """The variants that this processor can run, the best one first."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return []
    flags = processor_flags()
    return [
        name
        for name, needed in VARIANTS.items()
        if flags.issuperset(_KERNEL.get(flag, flag) for flag in needed)
    ]
