"""Foreign weights into a Model: every name and every shape has to fit, or nothing is loaded.

A layout is a table of foreign names; the shapes come from the model itself, built without memory.
Loading part of a checkpoint in silence is what users of ALBERT suffered most from.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.model.encoder import Model, build

# Names printed in an error message before it says "and n more".
NAMES_SHOWN = 10

Shape = tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Slot:
    """The place of one foreign tensor in a Model."""

    parameter: str
    """Name of the parameter, as in `Model.named_parameters`."""
    third: int | None = None
    """0, 1, 2: the query, key or value rows of the fused projection; None: all of it."""
    transposed: bool = False
    """The foreign tensor is stored (in, out)."""

    def shape(self, shapes: Mapping[str, Shape]) -> Shape:
        """Shape the foreign tensor must have."""
        rows, *rest = shapes[self.parameter]
        shape = (rows if self.third is None else rows // 3, *rest)
        return shape[::-1] if self.transposed else shape

    def view(self, model: Model) -> Tensor:
        """The part of the parameter that the foreign tensor fills, in the foreign shape."""
        tensor = model.get_parameter(self.parameter).detach()
        if self.third is not None:
            tensor = tensor.chunk(3)[self.third]
        return tensor.t() if self.transposed else tensor


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Names of another program's weights, as data."""

    modules: Mapping[str, str]
    """Foreign module (or parameter) to ours, outside of blocks."""
    block: str
    """Prefix of one block, with {group} and {inner}."""
    block_modules: Mapping[str, str]
    """Foreign module inside a block to ours, with {} for the number of the block."""
    leaf: Callable[[str], str]
    """Ending of the foreign name for one of our parameters: "x.norm.weight" to ".weight"."""

    def slots(self, config: ModelConfig) -> dict[str, Slot]:
        """Every foreign name a model of this configuration has, and where it goes."""
        shapes = parameter_shapes(config)
        modules = dict(self.modules)
        for block in range(config.plan.attentions):
            group, inner = divmod(block, config.inner_blocks)
            prefix = self.block.format(group=group, inner=inner)
            for theirs, ours in self.block_modules.items():
                modules[prefix + theirs] = ours.format(block)
        slots = {}
        for theirs, ours in modules.items():
            ours, _, third = ours.partition("/")
            if ours in shapes:
                slots[theirs] = Slot(parameter=ours)
                continue
            for parameter in (f"{ours}.weight", f"{ours}.bias"):
                if parameter in shapes:
                    leaf = self.leaf(parameter)
                    slots[theirs + leaf] = Slot(
                        parameter=parameter,
                        third=int(third) if third else None,
                        transposed=leaf == "/kernel",
                    )
        return slots


@dataclass(frozen=True, kw_only=True)
class Weights:
    """Named foreign tensors whose shapes are known before any of them is read."""

    shapes: Mapping[str, Shape]
    read: Callable[[str], Tensor]

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor]) -> "Weights":
        """Tensors that are in memory already."""
        shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
        return cls(shapes=shapes, read=tensors.__getitem__)

    def renamed(self, stored: Mapping[str, str]) -> "Weights":
        """The same tensors under other names, given as new name to stored name."""
        shapes = {new: self.shapes[old] for new, old in stored.items()}
        return Weights(shapes=shapes, read=lambda name: self.read(stored[name]))


def parameter_shapes(config: ModelConfig) -> dict[str, Shape]:
    """Name and shape of every parameter of a model, without allocating it."""
    with torch.device("meta"):
        model = Model(config)
    return {name: tuple(parameter.shape) for name, parameter in model.named_parameters()}


def assemble(
    config: ModelConfig,
    slots: Mapping[str, Slot],
    weights: Weights,
    *,
    allow: Sequence[str] = (),
    source: str,
) -> Model:
    """A model in evaluation mode with every weight taken from `weights`, in fp32.

    `allow` lists names, or beginnings of names, that may be missing (they keep fresh values of
    seed 0) or unexpected (they are left out). Raises InputError, naming `source` and the weights,
    when any other is missing, unexpected, of another shape, or not finite.
    """
    _check_names_and_shapes(config, slots, weights.shapes, tuple(allow), source)
    absent = [name for name in slots if name not in weights.shapes]
    if absent:
        model = build(config, seed=0)
    else:
        with torch.device("meta"):
            model = Model(config)
        model.to_empty(device="cpu")
    for name, slot in slots.items():
        if name not in weights.shapes:
            continue
        tensor = weights.read(name)
        if not bool(torch.isfinite(tensor).all()):
            raise InputError(
                f"{source}: weight {name} holds NaN or infinity: take a checkpoint from before "
                f"the training went wrong"
            )
        slot.view(model).copy_(tensor)
    fresh = {slots[name].view(model).untyped_storage().data_ptr() for name in absent}
    model.fresh_weights = tuple(
        name
        for name, weight in model.named_parameters()
        if weight.untyped_storage().data_ptr() in fresh
    )
    return model.eval()


def _check_names_and_shapes(
    config: ModelConfig,
    slots: Mapping[str, Slot],
    shapes: Mapping[str, Shape],
    allow: tuple[str, ...],
    source: str,
) -> None:
    wanted = parameter_shapes(config)
    missing = [name for name in slots if name not in shapes and not name.startswith(allow)]
    unexpected = [name for name in shapes if name not in slots and not name.startswith(allow)]
    misshapen = [
        f"{name} is {shapes[name]} but should be {slot.shape(wanted)}"
        for name, slot in slots.items()
        if name in shapes and shapes[name] != slot.shape(wanted)
    ]
    problems = [
        f"{len(names)} {kind}: {_listed(names)}"
        for kind, names in (
            ("missing", missing),
            ("unexpected", unexpected),
            ("of another shape", misshapen),
        )
        if names
    ]
    if problems:
        raise InputError(
            f"{source}: weights do not fit the configuration ({'; '.join(problems)}): mend the "
            f"configuration, or allow the missing and unexpected ones by name"
        )


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more
