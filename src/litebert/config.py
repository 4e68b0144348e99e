"""ModelConfig and the presets: every model of the paper's Table 1 and small ones, as numbers.

Lan et al. 2020 (arXiv 1909.11942), Table 1. Released ALBERT xlarge has 16 heads in its
config.json while the paper's rule H/64 gives 32; weight shapes cannot tell. We follow the release.
"""

from dataclasses import dataclass, fields, replace
from typing import Literal

from litebert.errors import InputError
from litebert.sharing import Sharing, SharingPlan

Activation = Literal["gelu_tanh", "gelu_erf"]


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """The architecture of one encoder; frozen, validated, no optional numbers."""

    hidden_size: int
    """H: width of the hidden states."""
    heads: int
    """N: attention heads; H must be a multiple of it."""
    depth: int
    """L: layers, that is how many times a block is applied."""
    inner_size: int
    """I: width of the feed-forward sublayer, 4H in every released model."""
    embedding_size: int = 128
    """E: width of the token, position and segment embeddings."""
    vocab_size: int = 30_000
    """V: entries of the vocabulary."""
    sharing: Sharing = "all"
    """Which weights layers share: all, attention, feed_forward, none or groups."""
    groups: int = 1
    """Groups of layers when sharing is "groups"."""
    inner_blocks: int = 1
    """Blocks inside a group, all of them run at every layer (Google's inner_group_num)."""
    embedding_projection: bool = True
    """Project E to H with a matrix. Always so when E differs from H; with E = H Google's code has
    none and transformers' ALBERT has one."""
    max_positions: int = 512
    """Longest sequence the position embeddings cover."""
    segment_types: int = 2
    """Kinds of segment (first and second of a pair)."""
    activation: Activation = "gelu_tanh"
    """GELU by tanh (Google's code, even where its config says "gelu") or by erf."""
    layer_norm_eps: float = 1e-12
    """Added to the variance inside every LayerNorm."""
    initializer_range: float = 0.02
    """Standard deviation of the initial weights before the cut at two deviations."""
    hidden_dropout: float = 0.0
    """Dropout after embeddings, attention output and feed-forward output; 0 in ALBERT v2."""
    attention_dropout: float = 0.0
    """Dropout on attention probabilities; 0 in ALBERT v2."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.type in (int, "int") and (not isinstance(value, int) or value < 1):
                raise InputError(f"{field.name}={value!r} must be a whole number of at least 1")
        if self.hidden_size % self.heads:
            raise InputError(
                f"hidden_size={self.hidden_size} is not a multiple of heads={self.heads}"
            )
        if self.embedding_size != self.hidden_size and not self.embedding_projection:
            raise InputError(
                f"embedding_size={self.embedding_size} differs from hidden_size="
                f"{self.hidden_size}, so embedding_projection must be true"
            )
        for name in ("hidden_dropout", "attention_dropout"):
            if not 0 <= getattr(self, name) < 1:
                raise InputError(f"{name}={getattr(self, name)} must lie in [0, 1)")
        if self.activation not in ("gelu_tanh", "gelu_erf"):
            raise InputError(f"activation={self.activation!r} must be gelu_tanh or gelu_erf")
        _ = self.plan

    @property
    def head_size(self) -> int:
        """D: width of one attention head."""
        return self.hidden_size // self.heads

    @property
    def plan(self) -> SharingPlan:
        """The weights used at each depth."""
        return SharingPlan.make(
            self.sharing, depth=self.depth, groups=self.groups, inner_blocks=self.inner_blocks
        )


def _albert(hidden_size: int, heads: int, depth: int, embedding_size: int = 128) -> ModelConfig:
    return ModelConfig(
        hidden_size=hidden_size,
        heads=heads,
        depth=depth,
        inner_size=4 * hidden_size,
        embedding_size=embedding_size,
    )


def unshared(config: ModelConfig) -> ModelConfig:
    """The BERT twin of a model: same shape, nothing shared, E = H and no projection."""
    return replace(
        config,
        sharing="none",
        groups=1,
        inner_blocks=1,
        depth=config.depth * config.inner_blocks,
        embedding_size=config.hidden_size,
        embedding_projection=False,
    )


_ALBERT = {
    #                          H   heads   L    E
    "albert-base": _albert(768, 12, 12),
    "albert-large": _albert(1024, 16, 24),
    "albert-xlarge": _albert(2048, 16, 24),
    "albert-xxlarge": _albert(4096, 64, 12),
    "albert-mini": _albert(256, 4, 6),
    # .02 suits widths near 1,000; at 128 it learns more slowly (LOG.md, 2026-11-22)
    "albert-micro": replace(_albert(128, 2, 4, 64), initializer_range=0.05),
}

PRESETS: dict[str, ModelConfig] = {
    **_ALBERT,
    "bert-base": unshared(_ALBERT["albert-base"]),
    "bert-large": unshared(_ALBERT["albert-large"]),
    "bert-mini": unshared(_ALBERT["albert-mini"]),
    "bert-micro": unshared(_ALBERT["albert-micro"]),
    "bert-base-uncased": replace(unshared(_ALBERT["albert-base"]), vocab_size=30_522),
    "bert-large-uncased": replace(unshared(_ALBERT["albert-large"]), vocab_size=30_522),
}
