"""The ranks of a run: the processes that share its batches and add up their gradients.

torchrun starts them (`litebert pretrain --devices N`, or torchrun itself over many machines). Every
rank holds the whole model: the block's gradient is complete only when the backward pass reaches its
first application, so there is nothing to overlap and one all-reduce of one buffer is the best plan.
"""

import gc
import importlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore
from torch.distributed.rendezvous import rendezvous
from torch.optim import Optimizer

from litebert.errors import InputError
from litebert.model.encoder import Model
from litebert.train.checkpoint import optimizer_tensors, set_optimizer_tensors


@dataclass(frozen=True)
class Ranks:
    """This process among those of the run; the default is a run of one process."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the rank that writes files and shows progress."""
        return self.rank == 0

    def share(self, numbers: range) -> range:
        """The numbers that this rank takes of a range: every size-th one."""
        return numbers[self.rank :: self.size]

    def total(self, values: Sequence[float]) -> list[float]:
        """Sums of host numbers over all ranks; the same on every rank."""
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64)
        dist.all_reduce(tensor)
        return tensor.tolist()

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Replace fp32 tensors of one device by their sums over all ranks, in one message."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        dist.all_reduce(flat)
        for tensor, part in zip(
            tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True
        ):
            tensor.copy_(part.view_as(tensor))

    def from_first(self, value: Any) -> Any:
        """A JSON-like value of the first rank, on every rank."""
        if self.size == 1:
            return value
        box = [value]
        dist.broadcast_object_list(box, src=0, device=torch.device("cpu"))
        return box[0]

    def leave(self) -> None:
        """Close the group and end its threads; call it when the run is over.

        A thread that outlives this one may let go of its last tensor while the interpreter shuts
        down, and then the process aborts. The group ends its threads when nothing refers to it.
        """
        if self.size > 1:
            dist.destroy_process_group()
            gc.collect()


def follow_first(model: Model, optimizers: list[Optimizer], ranks: Ranks) -> None:
    """Give every rank the weights and the optimizer state of the first one."""
    if ranks.size == 1:
        return
    device = next(model.parameters()).device
    state = optimizer_tensors(model, optimizers)
    layout = ranks.from_first({name: (value.shape, value.dtype) for name, value in state.items()})
    if not ranks.first:
        state = {
            name: torch.empty(shape, dtype=dtype, device=device)
            for name, (shape, dtype) in layout.items()
        }
    for tensor in (*model.state_dict().values(), *state.values()):
        dist.broadcast(tensor, src=0)
    if not ranks.first:
        set_optimizer_tensors(model, optimizers, state)


def started_by_torchrun() -> bool:
    """Whether this process is one of several that torchrun started."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def is_first_rank() -> bool:
    """Whether this process is the first rank, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


def restarted_by_torchrun() -> bool:
    """Whether torchrun started this process again after a rank was lost (--max-restarts)."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")) > 0


def join(device: torch.device) -> Ranks:
    """The ranks that torchrun's environment variables describe; one rank without them."""
    if not started_by_torchrun():
        return Ranks()
    # Its functions keep as a default argument the group that exists when they are first imported
    # (optimizers import them in passing): imported before the group, they keep none alive.
    importlib.import_module("torch.distributed.nn.functional")
    # After a restart torchrun gives the store of the attempt before, with addresses of dead ranks.
    store, rank, size = next(rendezvous("env://"))
    attempt = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo",
        store=PrefixStore(f"attempt {attempt}", store),
        rank=rank,
        world_size=size,
    )
    return Ranks(dist.get_rank(), dist.get_world_size())


def check_division(accumulation: int, ranks: Ranks) -> None:
    """Raise InputError when some ranks would have no batch of a step."""
    if ranks.size > accumulation:
        raise InputError(
            f"{ranks.size} processes share the {accumulation} batches of a step: give "
            f"accumulation={ranks.size} or more, with batch_tokens so much smaller"
        )
