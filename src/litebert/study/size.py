"""The `size` study: parameters by part, what factorising and sharing save, and what they do not.

Every count of Tables 1, 3, 4 and 12 beside ours, from configurations alone.
"""

from dataclasses import dataclass, replace

from litebert.config import PRESETS, ModelConfig
from litebert.model import flops, size
from litebert.study.paper_tables import Counted

# Tokens of a sequence and share predicted, for the arithmetic.
LENGTH, MASK_RATE = 512, 0.0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Where the parameters of a model are."""

    embeddings: int
    """Tables of tokens, positions and segments, their LayerNorm."""
    projection: int
    """E to H."""
    attentions: int
    feed_forwards: int
    pooler: int
    heads: int
    """Masked-LM and sentence head."""

    @property
    def encoder(self) -> int:
        """Everything but the heads of pretraining."""
        return (
            self.embeddings + self.projection + self.attentions + self.feed_forwards + self.pooler
        )


def parts(config: ModelConfig) -> Parts:
    """The parameters of a model by part."""
    projection = (config.embedding_size + 1) * config.hidden_size
    projection *= config.embedding_projection
    return Parts(
        embeddings=size.embedding_parameters(config) - projection,
        projection=projection,
        attentions=config.plan.attentions * size.attention_parameters(config),
        feed_forwards=config.plan.feed_forwards * size.feed_forward_parameters(config),
        pooler=(config.hidden_size + 1) * config.hidden_size,
        heads=size.head_parameters(config),
    )


@dataclass(frozen=True, kw_only=True)
class Size:
    """What a model weighs and what it computes."""

    parts: Parts
    tables: int
    """Tables, LayerNorm and projection of the embeddings as they are."""
    tables_unfactorised: int
    """The same with E = H."""
    applied: int
    """Parameters of blocks times how often a forward pass uses them: the "over two billion
    parameters' worth of computing" of albert-xxlarge, made exact."""
    forward_flops: float
    """Operations per token of a forward pass of the encoder over LENGTH tokens."""

    @property
    def encoder(self) -> int:
        """Parameters of the encoder with its pooler."""
        return self.parts.encoder


def measure(config: ModelConfig) -> Size:
    """Count one model."""
    block = size.attention_parameters(config) + size.feed_forward_parameters(config)
    return Size(
        parts=parts(config),
        tables=size.embedding_parameters(config),
        tables_unfactorised=size.embedding_parameters(config, factorised=False),
        applied=len(config.plan) * block,
        forward_flops=flops.forward_flops(config, length=LENGTH, mask_rate=MASK_RATE),
    )


def as_the_paper_counts(config: ModelConfig) -> int:
    """Parameters by the rule that gives every count of those tables but xxlarge's 235M and 233M.

    Positions have width H instead of E, and the pooler counts only where something is shared. The
    rule is inferred from the printed numbers; the paper does not state it, and released models have
    positions of width E.
    """
    wide_positions = config.max_positions * (config.hidden_size - config.embedding_size)
    found = parts(config)
    pooler = 0 if config.sharing == "none" else found.pooler
    return found.encoder - found.pooler + pooler + wide_positions


@dataclass(frozen=True, kw_only=True)
class Counting:
    """A claim that counting decides, without a run."""

    sentence: str
    effect: str
    holds: bool


def counted_claims() -> list[Counting]:
    """What sharing does to parameters and what it does not do to arithmetic, on the paper's models.

    Ratios are those of the encoder; operations are those of a forward pass.
    """
    names = ("albert-large", "albert-xxlarge", "bert-large")
    large, xxlarge, bert = (measure(PRESETS[name]) for name in names)
    fewer = [bert.encoder / model.encoder for model in (large, xxlarge)]
    more = [model.forward_flops / bert.forward_flops for model in (large, xxlarge)]
    return [
        Counting(
            sentence="Fewer parameters do not mean fewer operations.",
            effect=f"albert-large and albert-xxlarge have 1/{fewer[0]:.1f} and 1/{fewer[1]:.1f} of "
            f"bert-large's parameters, {more[0]:.2f} and {more[1]:.2f} times its operations",
            holds=all(few > 1 for few in fewer) and all(times > 0.99 for times in more),
        )
    ]


@dataclass(frozen=True)
class Comparison:
    """A count of the paper beside ours."""

    counted: Counted
    exact: int
    """Encoder with pooler, as released."""
    by_rule: int
    """As the paper seems to count."""

    @property
    def reproduced(self) -> tuple[int, ...]:
        """Which of the printed numbers either count rounds to."""
        found = {round(count / 1e6) for count in (self.exact, self.by_rule)}
        return tuple(number for number in self.counted.millions if number in found)

    @property
    def explanation(self) -> str:
        """In words: which count gives the printed number, or that none does."""
        notes = []
        for number in self.counted.millions:
            if round(self.exact / 1e6) == number:
                notes.append(f"{number}M: encoder with pooler")
            elif round(self.by_rule / 1e6) == number:
                notes.append(
                    f"{number}M: with positions of width H and no pooler where nothing is shared, "
                    f"{self.by_rule / 1e6:.1f}M"
                )
            else:
                notes.append(f"{number}M: no sum of the parts gives it")
        return "; ".join(notes)


def compare(counted: Counted) -> Comparison:
    """Count a model of the paper in both ways."""
    config = replace(counted.config, vocab_size=30_000)
    return Comparison(counted, parts(config).encoder, as_the_paper_counts(config))
