"""Prepares a model for answers: its arithmetic chosen, its weights cast or laid out once."""

import warnings
from pathlib import Path
from typing import Literal

import torch

from litebert.errors import InputError
from litebert.hardware import choose_dtype, precision_of
from litebert.infer.graphed_model import GraphedModel, has_graphs
from litebert.infer.native_model import NativeModel, has_native_pass
from litebert.infer.quantized import QuantizedLinear, quantize
from litebert.infer.smoothing import Smoothing, read_smoothing
from litebert.interop.load import model_directory
from litebert.model.encoder import Model
from litebert.model.layers import Linear

Precision = Literal["auto", "bf16", "fp32", "int8"]
"""Arithmetic of dense layers: "auto" is the faster of bf16 and fp32; int8 rounds weights."""


def prepare(
    model: Model,
    precision: Precision,
    *,
    source: str | Path | None = None,
    smoothing: Smoothing | None = None,
) -> Model:
    """The model that answers in place of another one, which is used up.

    In int8 inputs are smoothed as `smoothing` says, or litebert quantize in the model's `source`.

    On CPUs blocks run in the native pass where there is one; elsewhere weights are cast once and
    PyTorch multiplies them, on a GPU in bf16 through CUDA graphs where batches are small. int8 is
    slow there, which is warned of. Raises InputError for int8 on a GPU.
    """
    device = model.embeddings.tokens.weight.device
    if precision == "int8":
        if device.type != "cpu":
            raise InputError("precision=int8 is for CPUs: take bf16 on a GPU")
        if smoothing is None and source is not None:
            smoothing = read_smoothing(model_directory(source))
        quantize(model, smoothing)
    else:
        model.compute_dtype = choose_dtype(precision, device)
    model.eval()
    if has_native_pass(model):
        return NativeModel(model)
    if precision == "int8":
        warnings.warn(
            "int8 without the native pass is slower than bf16 or fp32: take precision=auto "
            "(the pass needs x86-64 Linux, AVX2, a C++ compiler and an even head size)",
            stacklevel=2,
        )
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, Linear):
                layer.to(model.compute_dtype)
    return GraphedModel(model) if has_graphs(model) else model


def arithmetic_of(model: Model) -> Literal["bf16", "fp32", "int8"]:
    """In which arithmetic the dense layers of a prepared model are."""
    if isinstance(model, NativeModel):
        return model.arithmetic
    if isinstance(model.feed_forwards[0].inner, QuantizedLinear):
        return "int8"
    return precision_of(model.compute_dtype)
