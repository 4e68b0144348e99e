"""The encoder: factorised embeddings, one block many times, and the heads of pretraining.

Follows Lan et al. 2020 (arXiv 1909.11942) and Google's modeling.py; checked against transformers
in tests/parity/. ALBERT, BERT and everything between are this one loop over another plan.
"""

# T = packed tokens, B = sequences, H = hidden, E = embedding, V = vocabulary

from collections.abc import Sequence
from dataclasses import replace
from numbers import Integral
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.model.block import Attention, FeedForward
from litebert.model.heads import MaskedLMHead, Pooler
from litebert.model.layers import LayerNorm, Linear, cast_once
from litebert.model.packed import L, Layout, PackedBatch
from litebert.model.recompute import Recompute, apply_block
from litebert.model.windows import Windows

# On CPUs, bf16 batches of FILL_FROM tokens and more are filled up to a multiple of FILL_TO.
FILL_FROM, FILL_TO = 1024, 64


class Embeddings(nn.Module):
    """Token, segment and position embeddings at width E, normalised, then projected to H."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        embed = config.embedding_size
        self.hidden_dropout = config.hidden_dropout
        self.tokens = nn.Embedding(config.vocab_size, embed)
        self.positions = nn.Embedding(config.max_positions, embed)
        self.segments = nn.Embedding(config.segment_types, embed)
        self.norm = LayerNorm(embed, eps=config.layer_norm_eps)
        self.projection = Linear(embed, config.hidden_size) if config.embedding_projection else None

    def forward(self, packed: PackedBatch, dtype: torch.dtype) -> Tensor:
        x_TE = self.tokens(packed.tokens) + self.segments(packed.segments)
        x_TE = self.norm(x_TE + self.positions(packed.positions)).to(dtype)
        x_TE = F.dropout(x_TE, self.hidden_dropout, self.training)
        return x_TE if self.projection is None else self.projection(x_TE)


class Output(NamedTuple):
    """What a model returns."""

    hidden: Tensor
    """(T, H) hidden state of every packed token, or (P, H) of the wanted ones."""
    pooled: Tensor
    """(B, H) pooled first token of every sequence."""


class Model(nn.Module):
    """An encoder with its pretraining heads; ALBERT or BERT by its plan."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.config = config
        self.plan = config.plan
        self.embeddings = Embeddings(config)
        self.attentions = nn.ModuleList(Attention(config) for _ in range(self.plan.attentions))
        self.feed_forwards = nn.ModuleList(
            FeedForward(config) for _ in range(self.plan.feed_forwards)
        )
        self.pooler = Pooler(config)
        self.mlm_head = MaskedLMHead(config)
        self.sentence_head = Linear(config.hidden_size, 2)
        self.compute_dtype = torch.float32
        """Dtype of activations; weights stay in fp32 and are cast where they are used."""
        self.recompute: Recompute = "nothing"
        """What the backward pass computes again instead of keeping it; no result changes."""
        self.fresh_weights: tuple[str, ...] = ()
        """Names of weights that a file lacked and was allowed to: they hold random values."""
        self.windows: Windows | None = None
        """Windows of attention, an option for long documents that changes the function."""

    def forward(
        self, packed: PackedBatch, depth: int | None = None, *, wanted: Tensor | None = None
    ) -> Output:
        """Encode a packed batch.

        `depth` runs another number of layers than the configuration's, which only a model that
        shares everything can do. With `wanted`, (P,) packed positions whose hidden states are
        needed, the last layer leaves out all others, but for first tokens, as soon as attention
        has seen them: the same values for less. Raises InputError for sequences longer than
        max_positions.
        """
        x_TH, filled = self.embed(packed)
        firsts = packed.offsets[:-1]
        rows = None if wanted is None else torch.cat([firsts, wanted])
        x_TH = self._through(x_TH, filled, self.layers(depth), rows)
        if wanted is None:
            return Output(x_TH[: len(packed.tokens)], self.pooler(self.take(x_TH, firsts)))
        first_BH, wanted_PH = x_TH.split([len(firsts), len(wanted)])
        return Output(wanted_PH, self.pooler(first_BH))

    def _through(
        self,
        x_TH: Tensor,
        layout: Layout,
        layers: Sequence[tuple[tuple[int, int], ...]],
        rows: Tensor | None,
    ) -> Tensor:
        """All layers, (T, H) to (T, H), or to (R, H) for the `rows` (R,) needed at the end."""
        # what is computed again finds no casts: they live as long as this pass
        shared = (self.attentions, self.feed_forwards) if self.recompute == "nothing" else ()
        with cast_once(shared, self.compute_dtype):
            *steps, last = (
                (step, self._radius(number))
                for number, layer in enumerate(layers)
                for step in layer
            )
            for step, radius in steps:
                x_TH = self.apply_step(x_TH, layout, step, radius=radius)
            return self.apply_step(x_TH, layout, last[0], rows, radius=last[1])

    def embed(self, packed: PackedBatch) -> tuple[Tensor, PackedBatch]:
        """What the first layer gets, (T, H), and the batch with what it is filled up with.

        Raises InputError for sequences longer than max_positions.
        """
        self.check_lengths(packed)
        filled = self.filled(packed)
        return self.embeddings(filled, self.compute_dtype), filled

    def check_lengths(self, packed: PackedBatch) -> None:
        """Raises InputError for sequences longer than max_positions."""
        if max(packed.lengths) > self.config.max_positions:
            raise InputError(
                f"a sequence of {max(packed.lengths)} tokens is longer than the model's "
                f"{self.config.max_positions} positions: cut the text"
            )

    def pooled_at_every_depth(self, packed: PackedBatch) -> list[Tensor]:
        """Pooled first tokens (B, H) after each layer, as if the model ended there."""
        x_TH, filled = self.embed(packed)
        pooled = []
        shared = (self.attentions, self.feed_forwards) if self.recompute == "nothing" else ()
        with cast_once(shared, self.compute_dtype):
            for number, layer in enumerate(self.layers()):
                for step in layer:
                    x_TH = self.apply_step(x_TH, filled, step, radius=self._radius(number))
                pooled.append(self.pooler(self.take(x_TH, packed.offsets[:-1])))
        return pooled

    def take(self, x_TH: Tensor, rows: Tensor) -> Tensor:
        """Some rows of hidden states: (T, H) and (R,) to (R, H)."""
        return x_TH[rows]

    def filled(self, batch: L) -> L:
        """The batch filled up to a number of tokens that is common, where that pays."""
        # oneDNN makes a new kernel for every size of a product and keeps those it has made
        on_cpu = batch.device.type == "cpu" and self.compute_dtype == torch.bfloat16
        long = batch.uniform_length is None and sum(batch.lengths) >= FILL_FROM
        return batch.filled(FILL_TO) if on_cpu and long else batch

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

        With `radius` it attends in windows.
        """
        return apply_block(self._block, x_TH, layout, step, rows, radius, recompute=self.recompute)

    def _block(
        self,
        x_TH: Tensor,
        layout: Layout,
        step: tuple[int, int],
        rows: Tensor | None,
        radius: int | None,
    ) -> Tensor:
        attention, feed_forward = step
        attended = self.attentions[attention](x_TH, layout, rows, radius)
        return self.feed_forwards[feed_forward](attended)

    def _radius(self, layer: int) -> int | None:
        return None if self.windows is None else self.windows.radius_of(layer)

    @property
    def shares_layers(self) -> bool:
        """Whether all layers are one, so that sequences at different depths can go together."""
        return self.config.sharing == "all"

    def layers(self, depth: int | None = None) -> list[tuple[tuple[int, int], ...]]:
        """The steps of every layer of the plan, or of a plan of another depth.

        Raises InputError for another depth of a model whose layers differ, and for none at all.
        """
        inner, steps = self.config.inner_blocks, self.plan.steps
        own = [steps[first : first + inner] for first in range(0, len(steps), inner)]
        if depth is None:
            return own
        if not isinstance(depth, Integral):
            raise InputError(f"depth={depth!r}: give a whole number of layers")
        if depth == self.config.depth:
            return own
        if not self.shares_layers:
            raise InputError(
                f"depth={depth} differs from the model's {self.config.depth}: only a model that "
                f"shares all its layers runs at another depth"
            )
        if depth < 1:
            raise InputError(f"depth={depth} must be at least 1")
        return own[:1] * depth

    @torch.no_grad()
    def extend_positions(self, count: int) -> None:
        """Read sequences of up to `count` tokens: positions are repeated, as Longformer's were.

        Neighbours keep the relation they were trained with, but for one border every so many
        tokens; what the model makes of long texts is still to be learned. Raises InputError for
        fewer than it has.
        """
        table = self.embeddings.positions.weight
        have, size = table.shape
        if count < have:
            raise InputError(f"the model has {have} positions already: ask for more than {count}")
        longer = nn.Embedding(count, size, device=table.device)
        longer.weight.copy_(table.repeat(-(-count // have), 1)[:count])
        self.embeddings.positions = longer
        self.config = replace(self.config, max_positions=count)

    def mlm_logits(self, hidden_PH: Tensor) -> Tensor:
        """Scores over the vocabulary: (P, H) to (P, V)."""
        return self.mlm_head(hidden_PH, self.embeddings.tokens.weight)

    def sentence_logits(self, pooled_BH: Tensor) -> Tensor:
        """Scores of the sentence objective, (B, H) to (B, 2): 0 = in order, 1 = swapped."""
        return self.sentence_head(pooled_BH)


def build(config: ModelConfig, *, seed: int = 0) -> Model:
    """A model with fresh weights.

    Matrices and embeddings from a normal distribution of deviation `initializer_range` cut at two
    deviations (its real deviation is 0.88 of that), biases 0, LayerNorm 1 and 0: Google's
    modeling.py. The same seed gives the same weights.
    """
    with torch.device("meta"):
        model = Model(config)
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    deviation = config.initializer_range
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim >= 2:
                nn.init.trunc_normal_(
                    parameter, std=deviation, a=-2 * deviation, b=2 * deviation, generator=generator
                )
            else:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)
    return model
