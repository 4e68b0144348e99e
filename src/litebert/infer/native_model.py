"""A model that answers in the native pass: weights laid out once, all layers in one call.

Embeddings and pooler go there too, in fp32; the other heads are those of the model it was made of.
"""

import ctypes
from collections.abc import Sequence
from functools import cache
from typing import Literal

import torch
from torch import Tensor, nn

from litebert.errors import InputError
from litebert.hardware import precision_of
from litebert.infer.native.library import Request, Step, native_library
from litebert.infer.native_layers import NativeLayers
from litebert.infer.quantized import QuantizedLinear
from litebert.model.encoder import Model
from litebert.model.heads import Pooler
from litebert.model.packed import Layout, PackedBatch

_BITS = {"fp32": 32, "bf16": 16, "int8": 8}
_Numbers = tuple[int, int, int]
"""Which attention and feed-forward sublayer a step takes, and its radius or -1."""


def has_native_pass(model: Model) -> bool:
    """Whether this machine and this model's shape have one: CPUs, even heads."""
    on_cpu = model.embeddings.tokens.weight.device.type == "cpu"
    fits = model.config.head_size % 2 == 0
    return on_cpu and fits and native_library() is not None


class NativePooler(nn.Module):
    """tanh of a dense layer on the first tokens of sequences, as model.heads.Pooler is."""

    def __init__(self, pooler: Pooler, layers: NativeLayers):
        super().__init__()
        self._library, self._width = layers.library, pooler.dense.out_features
        self._inputs = pooler.dense.in_features
        self._product = layers.product(pooler.dense, 32)

    def forward(self, first_BH: Tensor) -> Tensor:
        _check_rows(first_BH, len(first_BH), self._inputs)
        first_BH = first_BH.detach().float().contiguous()
        pooled = torch.empty(len(first_BH), self._width, dtype=torch.float32, device="cpu")
        failed = self._library.litebert_pool(
            ctypes.byref(self._product),
            first_BH.data_ptr(),
            len(first_BH),
            pooled.data_ptr(),
            _threads(self._library),
        )
        _check(failed)
        return pooled


class NativeModel(Model):
    """A model for answers alone: made of another one, whose blocks it lays out and leaves."""

    def __init__(self, model: Model, library: ctypes.CDLL | None = None):
        """Takes the place of `model`; its products are in int8 where layers were rounded to it,
        else in the model's compute dtype.
        """
        nn.Module.__init__(self)
        self.config, self.plan = model.config, model.plan
        self.fresh_weights, self.windows = model.fresh_weights, model.windows
        self.recompute = "nothing"
        self.embeddings = model.embeddings
        self.mlm_head, self.sentence_head = model.mlm_head, model.sentence_head
        # laid out below, and not kept twice
        self.attentions, self.feed_forwards = nn.ModuleList(), nn.ModuleList()
        self.compute_dtype = torch.float32
        found = library or native_library()
        assert found is not None, "has_native_pass says so"
        self._library = found
        first = model.feed_forwards[0].inner
        rounded = isinstance(first, QuantizedLinear)
        self.arithmetic: Literal["bf16", "fp32", "int8"] = (
            "int8" if rounded else precision_of(model.compute_dtype)
        )
        self._bits = _BITS[self.arithmetic]
        self._layers = NativeLayers(found)
        self.pooler = NativePooler(model.pooler, self._layers)
        self._tables = self._layers.embeddings(model.embeddings)
        attentions = [self._layers.attention(each, self._bits) for each in model.attentions]
        feed_forwards = [
            self._layers.feed_forward(each, self._bits) for each in model.feed_forwards
        ]

        @cache
        def steps_of(numbers: tuple[_Numbers, ...]) -> ctypes.Array[Step]:
            return (Step * len(numbers))(
                *(
                    Step(ctypes.pointer(attentions[a]), ctypes.pointer(feed_forwards[f]), radius)
                    for a, f, radius in numbers
                )
            )

        self._steps_of = steps_of
        self.eval()

    def embed(self, packed: PackedBatch) -> tuple[Tensor, PackedBatch]:
        """What the first layer gets, (T, H) fp32, and the batch.

        Raises InputError for sequences longer than max_positions and for ids that are not as many
        as `lengths` says or not on the CPU, IndexError for unknown ids.
        """
        tokens = _tokens_of(packed)
        self.check_lengths(packed)
        ids = (packed.tokens, packed.segments, packed.positions)
        for each in ids:
            _check_rows(each, tokens)
        ids = [each.to(torch.int64).contiguous() for each in ids]
        x_TH = torch.empty(tokens, self.config.hidden_size, dtype=torch.float32, device="cpu")
        failed = self._library.litebert_embed(
            ctypes.byref(self._tables),
            *(each.data_ptr() for each in ids),
            tokens,
            x_TH.data_ptr(),
            _threads(self._library),
        )
        if failed == 2:
            raise IndexError("an id of a token, segment or position that the model does not have")
        _check(failed)
        return x_TH, packed

    def take(self, x_TH: Tensor, rows: Tensor) -> Tensor:
        """Some rows of hidden states: (T, H) and (R,) to (R, H)."""
        # by NumPy: PyTorch's threads would still wait for more work when the next pass begins
        return torch.from_numpy(x_TH.numpy()[rows.numpy()])

    def _through(
        self,
        x_TH: Tensor,
        layout: Layout,
        layers: Sequence[tuple[tuple[int, int], ...]],
        rows: Tensor | None,
    ) -> Tensor:
        steps = tuple(
            _numbers(step, self._radius(number))
            for number, layer in enumerate(layers)
            for step in layer
        )
        return self._pass(x_TH, layout, steps, rows)

    def apply_step(
        self,
        x_TH: Tensor,
        layout: Layout,
        step: tuple[int, int],
        rows: Tensor | None = None,
        *,
        radius: int | None = None,
    ) -> Tensor:
        """One application of a block, (T, H) to (T, H), or to (R, H) for `rows` (R,) of it.

        With `radius` it attends in windows. Raises InputError for hidden states that are not those
        of `layout` or not on the CPU, IndexError for rows that are not there.
        """
        return self._pass(x_TH, layout, (_numbers(step, radius),), rows)

    def _pass(
        self,
        x_TH: Tensor,
        layout: Layout,
        steps: tuple[_Numbers, ...],
        rows: Tensor | None,
    ) -> Tensor:
        _check_rows(x_TH, _tokens_of(layout), self.config.hidden_size)
        offsets = layout.offsets.contiguous()
        if rows is not None:
            _check_rows(rows, len(rows))
        wanted = None if rows is None else rows.to(torch.int64).contiguous()
        if wanted is not None and len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(x_TH):
            raise IndexError(f"rows of {len(x_TH)} are asked for that are not there")
        # room for rows that are asked for twice
        room = len(x_TH) if wanted is None else max(len(x_TH), len(wanted))
        given = x_TH.detach().to(torch.float32).contiguous()
        x_TH = torch.empty(room, given.shape[1], dtype=torch.float32, device="cpu")
        request = Request(
            from_=given.data_ptr(),
            x=x_TH.data_ptr(),
            hidden=self.config.hidden_size,
            heads=self.config.heads,
            sequences=len(layout.lengths),
            offsets=offsets.data_ptr(),
            wanted=None if wanted is None else wanted.data_ptr(),
            wanted_count=0 if wanted is None else len(wanted),
        )
        failed = self._library.litebert_pass(
            self._bits,
            ctypes.byref(request),
            self._steps_of(steps),
            len(steps),
            _threads(self._library),
        )
        _check(failed)
        return x_TH if wanted is None else x_TH[: len(wanted)]


def _numbers(step: tuple[int, int], radius: int | None) -> _Numbers:
    return *step, -1 if radius is None else radius


def _threads(library: ctypes.CDLL) -> int:
    """As many as PyTorch takes, but no more than there are cores for."""
    return library.litebert_threads(torch.get_num_threads())


def _tokens_of(layout: Layout) -> int:
    """How many rows a layout is of. Raises InputError for one that is of no use here."""
    if layout.device.type != "cpu":
        raise InputError(f"a batch on {layout.device}: the native pass answers on the CPU")
    if min(layout.lengths, default=0) < 1:
        raise InputError("a batch of no sequences, or with one of no tokens")
    return sum(layout.lengths)


def _check_rows(given: Tensor, *shape: int) -> None:
    """Raises InputError for a tensor that ends early, or is where the native pass cannot read."""
    if given.shape != shape or given.device.type != "cpu":
        raise InputError(
            f"a tensor is {tuple(given.shape)} on {given.device}: the batch needs {shape} on cpu"
        )


def _check(failed: int) -> None:
    if failed:
        raise MemoryError("not enough memory or threads for the pass: give fewer texts at once")
