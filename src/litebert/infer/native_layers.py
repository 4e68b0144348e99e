"""Layers of a model as the native pass takes them: laid out once, with their memory kept."""

import ctypes

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.infer.native.library import (
    AttentionWeights,
    Embeddings,
    FeedForwardWeights,
    Norm,
    Product,
)
from litebert.infer.quantized import QuantizedLinear
from litebert.model.block import Attention, FeedForward
from litebert.model.encoder import Embeddings as ModelEmbeddings
from litebert.model.layers import LayerNorm, Linear


class NativeLayers:
    """What a library reads, and the tensors that its pointers point into."""

    def __init__(self, library: ctypes.CDLL):
        self.library = library
        self._kept: list[Tensor] = []

    def attention(self, block: nn.Module, bits: int) -> AttentionWeights:
        """An attention sublayer whose products are in numbers of so many bits."""
        assert isinstance(block, Attention)
        return AttentionWeights(
            self.product(block.qkv, bits), self.product(block.output, bits), self.norm(block.norm)
        )

    def feed_forward(self, block: nn.Module, bits: int) -> FeedForwardWeights:
        """A feed-forward sublayer likewise."""
        assert isinstance(block, FeedForward)
        return FeedForwardWeights(
            self.product(block.inner, bits),
            self.product(block.output, bits),
            self.norm(block.norm),
            block.activation == "gelu_tanh",
        )

    def embeddings(self, block: ModelEmbeddings) -> Embeddings:
        """The embeddings, in fp32; their tables are the model's own memory."""
        tables = [
            self._keep(table.weight.detach().float())
            for table in (block.tokens, block.segments, block.positions)
        ]
        projection = None if block.projection is None else self.product(block.projection, 32)
        return Embeddings(
            *(table.data_ptr() for table in tables),
            *(len(table) for table in tables),
            tables[0].shape[1],
            self.norm(block.norm),
            None if projection is None else ctypes.pointer(projection),
        )

    def product(self, layer: Linear | QuantizedLinear, bits: int) -> Product:
        """A dense layer laid out in panels."""
        outputs, inputs = layer.weight.shape
        scales = sums = factors = None
        if isinstance(layer, QuantizedLinear):
            scales, sums = self._filled(layer.scales), self._filled(layer.weight.sum(1).float())
            factors = None if layer.factors is None else self._keep(layer.factors.float())
            weight = layer.weight.contiguous()
        else:
            dtype = torch.float32 if bits == 32 else torch.bfloat16
            weight = layer.weight.detach().to(dtype).contiguous()
        laid = self._keep(
            torch.empty(
                self.library.litebert_laid_bytes(bits, inputs, outputs),
                dtype=torch.uint8,
                device="cpu",
            )
        )
        self.library.litebert_lay(bits, weight.data_ptr(), inputs, outputs, laid.data_ptr())
        return Product(
            inputs,
            outputs,
            laid.data_ptr(),
            None if scales is None else scales.data_ptr(),
            None if sums is None else sums.data_ptr(),
            self._filled(layer.bias.detach().float()).data_ptr(),
            None if factors is None else factors.data_ptr(),
        )

    def norm(self, norm: LayerNorm) -> Norm:
        """A LayerNorm."""
        weight, bias = (
            self._keep(norm.weight.detach().float()),
            self._keep(norm.bias.detach().float()),
        )
        return Norm(weight.data_ptr(), bias.data_ptr(), norm.eps)

    def _filled(self, vector: Tensor) -> Tensor:
        missing = -len(vector) % self.library.litebert_panel()
        return self._keep(F.pad(vector, (0, missing)))

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.append(tensor.contiguous())
        return self._kept[-1]
