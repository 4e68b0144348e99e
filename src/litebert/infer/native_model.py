"""A model whose blocks run in the native pass: weights laid out once, all layers in one call.

Embeddings, pooler and heads are those of the model it was made of, in fp32.
"""

import ctypes
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.hardware import precision_of
from litebert.infer.native.library import (
    AttentionWeights,
    FeedForwardWeights,
    Norm,
    Product,
    Request,
    Step,
    native_library,
)
from litebert.infer.quantized import QuantizedLinear
from litebert.model.block import Attention, FeedForward
from litebert.model.encoder import Model
from litebert.model.layers import LayerNorm, Linear
from litebert.model.packed import PackedBatch

_BITS = {"fp32": 32, "bf16": 16, "int8": 8}


def has_native_pass(model: Model) -> bool:
    """Whether this machine and this model's shape have one: CPUs, full attention, even heads."""
    on_cpu = model.embeddings.tokens.weight.device.type == "cpu"
    fits = model.config.head_size % 2 == 0 and model.windows is None
    return on_cpu and fits and native_library() is not None


class NativeModel(Model):
    """A model for answers alone: made of another one, whose blocks it lays out and leaves."""

    def __init__(self, model: Model, library: ctypes.CDLL | None = None):
        """Takes the place of `model`; its products are in int8 where layers were rounded to it,
        else in the model's compute dtype.
        """
        nn.Module.__init__(self)
        self.config, self.plan = model.config, model.plan
        self.fresh_weights, self.windows, self.recompute = model.fresh_weights, None, "nothing"
        self.embeddings, self.pooler = model.embeddings, model.pooler
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
        self._kept: list[Tensor] = []
        self._attentions = [self._attention(each) for each in model.attentions]
        self._feed_forwards = [self._feed_forward(each) for each in model.feed_forwards]
        self.eval()

    def _through(
        self,
        x_TH: Tensor,
        packed: PackedBatch,
        layers: Sequence[tuple[tuple[int, int], ...]],
        rows: Tensor | None,
    ) -> Tensor:
        return self._pass(x_TH, packed, [step for layer in layers for step in layer], rows)

    def apply_step(
        self,
        x_TH: Tensor,
        packed: PackedBatch,
        step: tuple[int, int],
        rows: Tensor | None = None,
        *,
        radius: int | None = None,
    ) -> Tensor:
        """One application of a block, (T, H) to (T, H), or to (R, H) for `rows` (R,) of it."""
        return self._pass(x_TH, packed, [step], rows)

    def _pass(
        self,
        x_TH: Tensor,
        packed: PackedBatch,
        steps: list[tuple[int, int]],
        rows: Tensor | None,
    ) -> Tensor:
        offsets = packed.offsets.contiguous()
        wanted = None if rows is None else rows.to(torch.int64).contiguous()
        if wanted is not None and len(wanted) and not 0 <= wanted.min() <= wanted.max() < len(x_TH):
            raise IndexError(f"rows of {len(x_TH)} are asked for that are not there")
        # its own, as it is written to, with room for rows that are asked for twice
        room = len(x_TH) if wanted is None else max(len(x_TH), len(wanted))
        given = x_TH.detach()
        x_TH = torch.empty(room, given.shape[1], dtype=torch.float32, device="cpu")
        x_TH[: len(given)] = given
        request = Request(
            x=x_TH.data_ptr(),
            hidden=self.config.hidden_size,
            heads=self.config.heads,
            sequences=len(packed.lengths),
            offsets=offsets.data_ptr(),
            wanted=None if wanted is None else wanted.data_ptr(),
            wanted_count=0 if wanted is None else len(wanted),
        )
        weights = [
            Step(ctypes.pointer(self._attentions[a]), ctypes.pointer(self._feed_forwards[f]))
            for a, f in steps
        ]
        array = (Step * len(steps))(*weights)
        failed = self._library.litebert_pass(
            self._bits, ctypes.byref(request), array, len(steps), torch.get_num_threads()
        )
        if failed:
            raise MemoryError("not enough memory or threads for the pass: give fewer texts at once")
        return x_TH if wanted is None else x_TH[: len(wanted)]

    def _attention(self, block: nn.Module) -> AttentionWeights:
        assert isinstance(block, Attention)
        return AttentionWeights(
            self._product(block.qkv), self._product(block.output), self._norm(block.norm)
        )

    def _feed_forward(self, block: nn.Module) -> FeedForwardWeights:
        assert isinstance(block, FeedForward)
        return FeedForwardWeights(
            self._product(block.inner),
            self._product(block.output),
            self._norm(block.norm),
            block.activation == "gelu_tanh",
        )

    def _product(self, layer: Linear | QuantizedLinear) -> Product:
        outputs, inputs = layer.weight.shape
        scales = sums = factors = None
        if isinstance(layer, QuantizedLinear):
            scales, sums = self._filled(layer.scales), self._filled(layer.weight.sum(1).int())
            factors = None if layer.factors is None else self._keep(layer.factors.float())
            weight = layer.weight.contiguous()
        else:
            dtype = torch.float32 if self._bits == 32 else torch.bfloat16
            weight = layer.weight.detach().to(dtype).contiguous()
        laid = self._keep(
            torch.empty(
                self._library.litebert_laid_bytes(self._bits, inputs, outputs),
                dtype=torch.uint8,
                device="cpu",
            )
        )
        self._library.litebert_lay(self._bits, weight.data_ptr(), inputs, outputs, laid.data_ptr())
        return Product(
            inputs,
            outputs,
            laid.data_ptr(),
            None if scales is None else scales.data_ptr(),
            None if sums is None else sums.data_ptr(),
            self._filled(layer.bias.detach().float()).data_ptr(),
            None if factors is None else factors.data_ptr(),
        )

    def _norm(self, norm: LayerNorm) -> Norm:
        weight, bias = (
            self._keep(norm.weight.detach().float()),
            self._keep(norm.bias.detach().float()),
        )
        return Norm(weight.data_ptr(), bias.data_ptr(), norm.eps)

    def _filled(self, vector: Tensor) -> Tensor:
        missing = -len(vector) % self._library.litebert_panel()
        return self._keep(F.pad(vector, (0, missing)))

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.append(tensor.contiguous())
        return self._kept[-1]
