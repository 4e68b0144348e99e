"""Smoothing before int8: inputs are divided by what their channels reach, weights multiplied.

A channel that reaches far more than others widens the steps of a whole row. What it reaches is the
most over all depths, as one weight serves them all (after SmoothQuant, Xiao et al. 2022,
arXiv 2211.10438, equation 4).
"""

# I = inputs of a layer

from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from litebert.errors import InputError
from litebert.files import sha256_of, write_atomically
from litebert.interop.huggingface import read_config
from litebert.interop.load import weights_of
from litebert.interop.matching import parameter_shapes
from litebert.model.encoder import Model
from litebert.model.layers import Linear
from litebert.model.packed import PackedBatch

SMOOTHING = "smoothing.safetensors"
# How much of the difference goes from inputs to weights.
STRENGTH = 0.5
Smoothing = Mapping[str, Tensor]
"""By the name of a layer: (I,) what its inputs are multiplied with."""


@torch.inference_mode()
def calibrate_smoothing(model: Model, batches: Iterable[PackedBatch]) -> dict[str, Tensor]:
    """What to multiply the inputs of every dense layer of the blocks with, from some batches."""
    layers = {name: layer for name, layer in _dense_layers(model)}
    largest = {
        name: layer.weight.new_zeros(layer.weight.shape[1]) for name, layer in layers.items()
    }

    def watch(name: str):
        def hook(_: torch.nn.Module, inputs: tuple[Tensor, ...]) -> None:
            largest[name] = torch.maximum(largest[name], inputs[0].float().abs().amax(0))

        return hook

    hooks = [layer.register_forward_pre_hook(watch(name)) for name, layer in layers.items()]
    try:
        for packed in batches:
            model(packed)
    finally:
        for hook in hooks:
            hook.remove()
    found = {}
    for name, layer in layers.items():
        weight = layer.weight.detach().float().abs().amax(0)
        # a channel that is always 0 stays as it is
        used = (largest[name] > 0) & (weight > 0)
        factor = weight ** (1 - STRENGTH) / largest[name] ** STRENGTH
        found[name] = torch.where(used, factor, 1.0)
    return found


@torch.inference_mode()
def errors_by_depth(exact: Model, rounded: Model, batches: Iterable[PackedBatch]) -> list[float]:
    """How far hidden states are off after every layer: root mean square, relative to their own."""
    layers = exact.layers()
    off, size = torch.zeros(len(layers)), torch.zeros(len(layers))
    for packed in batches:
        x_TH, filled = exact.embed(packed)
        y_TH = x_TH
        for number, layer in enumerate(layers):
            for step in layer:
                x_TH = exact.apply_step(x_TH, filled, step)
                y_TH = rounded.apply_step(y_TH, filled, step)
            real = len(packed.tokens)
            off[number] += (y_TH - x_TH)[:real].float().square().sum()
            size[number] += x_TH[:real].float().square().sum()
    return (off / size).sqrt().tolist()


def save_smoothing(smoothing: Smoothing, directory: str | Path) -> None:
    """Write smoothing.safetensors into a model's directory; it is for its weights alone."""
    values = {name: values.contiguous() for name, values in smoothing.items()}
    data = save(values, metadata={"weights": weights_of(directory)})
    write_atomically(Path(directory) / SMOOTHING, data)


def read_smoothing(directory: str | Path) -> dict[str, Tensor]:
    """What litebert quantize left in a model's directory; nothing where it left nothing.

    Raises InputError for a file that is damaged, of other weights or of other layers.
    """
    place = Path(directory) / SMOOTHING
    if not place.is_file():
        return {}
    try:
        with safe_open(place, "pt") as file:
            weights = (file.metadata() or {}).get("weights")
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError) as error:
        raise InputError(f"{place}: not what litebert quantize wrote ({error})") from None
    if weights != weights_of(directory):
        raise InputError(f"{place} is of other weights: run litebert quantize again, or delete it")
    wanted = _inputs_by_name(directory)
    for name in sorted(wanted.keys() | found.keys()):
        factors = found.get(name)
        if factors is None or factors.shape != wanted.get(name) or not _are_factors(factors):
            raise InputError(
                f"{place}: {name} does not fit the model's layers: run litebert quantize again, or "
                "delete it"
            )
    return found


def smoothing_of(directory: str | Path) -> str | None:
    """What tells the smoothing of a model's directory from others; None where there is none."""
    place = Path(directory) / SMOOTHING
    return sha256_of(place)[:16] if place.is_file() else None


def _are_factors(values: Tensor) -> bool:
    return values.is_floating_point() and bool((values.isfinite() & (values > 0)).all())


def _inputs_by_name(directory: str | Path) -> dict[str, tuple[int]]:
    """By the name of a dense layer of the blocks: (I,)."""
    shapes = parameter_shapes(read_config(directory))
    return {
        name.removesuffix(".weight"): (shape[1],)
        for name, shape in shapes.items()
        if name.startswith(("attentions.", "feed_forwards.")) and len(shape) == 2
    }


def _dense_layers(model: Model) -> Iterable[tuple[str, Linear]]:
    for part in ("attentions", "feed_forwards"):
        for name, layer in getattr(model, part).named_modules():
            if isinstance(layer, Linear):
                yield f"{part}.{name}", layer
