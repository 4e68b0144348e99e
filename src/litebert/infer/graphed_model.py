"""A model that answers on a GPU: a block recorded once as a CUDA graph, replayed layer by layer.

Kernels of a small batch run for less time than launching them takes, and a graph is one launch for
all of a block's. A block that is shared is recorded once for all layers, so there are no more
graphs for more layers, and the depth stays free. Not run on a GPU yet.
"""

# T = packed tokens, H = hidden

import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from litebert.model.encoder import Model
from litebert.model.packed import Layout

# Up to so many tokens a block is recorded; its kernels should take longer than launches above.
MOST_TOKENS = 2048
FEWEST_TOKENS = 64
# There is room for a sequence for so many tokens of room.
TOKENS_A_SEQUENCE = 8
# The kernel for packed tokens: compute capability, and numbers a head that it takes.
CAPABILITY, HEAD_MULTIPLE = (8, 0), 8

Record = Callable[[Callable[[], None]], Callable[[], None]]
"""Makes of some work, that it may do a few times, what does the same again."""


class CudaGraphs:
    """Records CUDA graphs of work on fixed memory; doing one again is one launch."""

    def __init__(self) -> None:
        # graphs leave nothing in memory of their own, and one is replayed at a time: they share it
        self._pool = None

    def __call__(self, work: Callable[[], None]) -> Callable[[], None]:
        """The graph of some work, on the current device."""
        if self._pool is None:
            self._pool = torch.cuda.graph_pool_handle()
        # kernels are chosen and loaded outside of the recording
        beside = torch.cuda.Stream()
        beside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(beside):
            for _ in range(3):
                work()
        graph = torch.cuda.CUDAGraph()
        # other threads may ask for memory meanwhile
        with torch.cuda.graph(
            graph, pool=self._pool, stream=beside, capture_error_mode="thread_local"
        ):
            work()
        torch.cuda.current_stream().wait_stream(beside)
        return graph.replay


def has_graphs(model: Model) -> bool:
    """Whether a prepared model's blocks can be recorded: on a GPU, with its packed attention."""
    device = model.embeddings.tokens.weight.device
    if device.type != "cuda" or model.compute_dtype != torch.bfloat16:
        return False
    able = torch.cuda.get_device_capability(device) >= CAPABILITY
    return able and model.config.head_size % HEAD_MULTIPLE == 0


# A process records one graph at a time, and one batch at a time is in the memory that they use.
_ALONE = threading.Lock()


@dataclass(frozen=True)
class _Room:
    """Memory that graphs read and write: room for a number of tokens and of sequences."""

    x: Tensor
    """(room, H); rows behind the last sequence hold anything, and nothing reads them."""
    layout: Layout
    """As many sequences as there is room for, `offsets` written anew for each batch."""

    def fill(self, x_TH: Tensor, layout: Layout) -> None:
        """Take a batch; sequences that are missing are empty ones at its end."""
        offsets = self.layout.offsets
        own = layout.offsets
        self.x[: len(x_TH)].copy_(x_TH)
        offsets[: len(own)].copy_(own)
        offsets[len(own) :] = own[-1]


class GraphedModel(Model):
    """A model for answers alone: made of a prepared one, whose modules it takes."""

    def __init__(self, model: Model, record: Record | None = None):
        """Takes the place of `model`; `record` makes CUDA graphs unless a test has another."""
        nn.Module.__init__(self)
        self.config, self.plan = model.config, model.plan
        self.fresh_weights, self.windows = model.fresh_weights, model.windows
        self.recompute, self.compute_dtype = model.recompute, model.compute_dtype
        self.embeddings, self.pooler = model.embeddings, model.pooler
        self.attentions, self.feed_forwards = model.attentions, model.feed_forwards
        self.mlm_head, self.sentence_head = model.mlm_head, model.sentence_head
        self._record = record or CudaGraphs()
        self._rooms: dict[tuple[int, int], _Room] = {}
        self._replays: dict[tuple[int, int, tuple[int, int]], Callable[[], None]] = {}
        self._over: torch.cuda.Event | None = None
        self.eval()

    def _through(
        self,
        x_TH: Tensor,
        layout: Layout,
        layers: Sequence[tuple[tuple[int, int], ...]],
        rows: Tensor | None,
    ) -> Tensor:
        if not self._fits(layout):
            return super()._through(x_TH, layout, layers, rows)
        out_TH = self._replayed(x_TH, layout, [step for layer in layers for step in layer])
        return out_TH if rows is None else out_TH.index_select(0, rows)

    def _block(
        self,
        x_TH: Tensor,
        layout: Layout,
        step: tuple[int, int],
        rows: Tensor | None,
        radius: int | None,
    ) -> Tensor:
        if radius is not None or not self._fits(layout):
            return super()._block(x_TH, layout, step, rows, radius)
        out_TH = self._replayed(x_TH, layout, [step])
        return out_TH if rows is None else out_TH.index_select(0, rows)

    def _fits(self, layout: Layout) -> bool:
        tokens = sum(layout.lengths)
        few = len(layout.lengths) <= _room_for(tokens) // TOKENS_A_SEQUENCE
        return few and tokens <= MOST_TOKENS and self.windows is None

    def _replayed(self, x_TH: Tensor, layout: Layout, steps: Sequence[tuple[int, int]]) -> Tensor:
        size = _room_for(len(x_TH)), _room_for(max(layout.lengths))
        with _ALONE, self._on_device(), torch.inference_mode():
            if self._over is not None:
                # the batch before, which another thread may have given on another stream
                torch.cuda.current_stream().wait_event(self._over)
            # all first: recording works on the memory that the batch will be in
            replays = [self._replay_of(size, step) for step in steps]
            room = self._rooms[size]
            room.fill(x_TH, layout)
            for replay in replays:
                replay()
            out_TH = room.x[: len(x_TH)].clone()
            if out_TH.is_cuda:
                self._over = torch.cuda.Event()
                self._over.record()
            return out_TH

    def _on_device(self) -> AbstractContextManager:
        device = self.embeddings.tokens.weight.device
        return torch.cuda.device(device) if device.type == "cuda" else nullcontext()

    def _replay_of(self, size: tuple[int, int], step: tuple[int, int]) -> Callable[[], None]:
        key = (*size, step)
        if key not in self._replays:
            if size not in self._rooms:
                self._rooms[size] = self._room(*size)
            room, block = self._rooms[size], super()._block

            def work() -> None:
                room.x.copy_(block(room.x, room.layout, step, None, None))

            self._replays[key] = self._record(work)
        return self._replays[key]

    def _room(self, tokens: int, longest: int) -> _Room:
        device = self.embeddings.tokens.weight.device
        empty = (0,) * (tokens // TOKENS_A_SEQUENCE - 1)
        hidden = self.config.hidden_size
        x = torch.zeros(tokens, hidden, dtype=self.compute_dtype, device=device)
        return _Room(x, Layout(lengths=(longest, *empty), device=device))


def _room_for(tokens: int) -> int:
    """The next power of two."""
    return max(FEWEST_TOKENS, 1 << (tokens - 1).bit_length())
