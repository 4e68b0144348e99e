"""Activation checkpointing: what the backward pass computes again instead of keeping it.

Memory is not saved by sharing: every application of the block keeps activations of its own. What is
computed again has the same bits, dropout included, so no result changes.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
)

Recompute = Literal["nothing", "activations", "blocks"]

_aten = torch.ops.aten
# Not bmm: scores are as long as the sequence for every token and head, and cheap to make again.
_PRODUCTS = {
    _aten.mm.default,
    _aten.addmm.default,
    _aten._scaled_dot_product_flash_attention.default,
    _aten._scaled_dot_product_flash_attention_for_cpu.default,
    _aten._scaled_dot_product_efficient_attention.default,
    _aten._scaled_dot_product_cudnn_attention.default,
}


def apply_block(block: Callable[..., Tensor], *inputs: Any, recompute: Recompute) -> Tensor:
    """`block(*inputs)`; its backward pass keeps everything, only products, or only the inputs.

    "activations" keeps the outputs of dense layers and of fused attention, and computes GELU,
    scores, softmax, LayerNorm, dropout and casts again; "blocks" the whole block.
    """
    if recompute == "nothing" or not torch.is_grad_enabled():
        return block(*inputs)
    if recompute == "blocks":
        return checkpoint(block, *inputs, use_reentrant=False)
    contexts = partial(create_selective_checkpoint_contexts, _keep_products)
    return checkpoint(block, *inputs, use_reentrant=False, context_fn=contexts)


def _keep_products(context: Any, operation: Any, *args: Any, **kwargs: Any) -> CheckpointPolicy:
    if operation in _PRODUCTS:
        return CheckpointPolicy.MUST_SAVE
    return CheckpointPolicy.PREFER_RECOMPUTE
