"""BatchSettings: objective, lengths, masking and order of the pretraining batches, validated.

Defaults are Lan et al. 2020 (arXiv 1909.11942) sections 3.1 and 4.1, except the mask rate: their
20 predictions in 512 tokens are 3.9 %, here it is BERT's 15 % of every batch.
"""

from dataclasses import dataclass
from typing import Literal

from litebert.errors import InputError
from litebert.text.pairs import Objective, SopNegatives


@dataclass(frozen=True, kw_only=True)
class BatchSettings:
    """What the batches of a run are made of; every field changes results."""

    objective: Objective = "mlm+sop"
    """Masked tokens with sentence order (mlm+sop), next sentence (mlm+nsp) or nothing (mlm)."""
    batch_tokens: int = 4096
    """T: tokens in a batch, specials included, exactly."""
    max_length: int = 128
    """Longest sequence, specials included."""
    short_sequence_probability: float = 0.1
    """Share of sequences whose length limit is drawn uniformly from 2 to the longest."""
    mask_rate: float = 0.15
    """Share of the tokens of a batch that are predicted."""
    max_predictions_per_sequence: int | None = None
    """Most predictions in a sequence of max_length; shorter ones in proportion. Google's 20 of 512
    is 20 with max_length 512, a rate of 3.9 %."""
    max_ngram: int = 3
    """Longest masked span in words."""
    sop_negatives: SopNegatives = "in_document"
    """Swapped pairs only (in_document), or with Google's: a lone segment gets a second one from
    another document under label 1."""
    both_orders: bool = False
    """Every pair twice in a batch, in both orders and under the same masks: half as many texts, and
    sentence order is learned where it is not otherwise (LOG.md)."""
    order: Literal["shuffled", "sequential"] = "shuffled"
    """Windows shuffled every epoch, or in corpus order and full length (held-out evaluation)."""
    seed: int = 0
    """Chooses order, pairs and masks."""

    def __post_init__(self) -> None:
        _one_of("objective", self.objective, ("mlm", "mlm+sop", "mlm+nsp"))
        _one_of("sop_negatives", self.sop_negatives, ("in_document", "google"))
        _one_of("order", self.order, ("shuffled", "sequential"))
        if self.max_length < 8:
            raise InputError(f"max_length={self.max_length} must be at least 8")
        if self.batch_tokens < self.max_length:
            raise InputError(
                f"batch_tokens={self.batch_tokens} must be at least max_length={self.max_length}"
            )
        if not 0 <= self.short_sequence_probability <= 1:
            raise InputError(
                f"short_sequence_probability={self.short_sequence_probability} must lie in [0, 1]"
            )
        if not 0 < self.mask_rate < 1:
            raise InputError(f"mask_rate={self.mask_rate} must lie in (0, 1)")
        if self.max_predictions_per_sequence is not None and self.max_predictions_per_sequence < 1:
            raise InputError(
                f"max_predictions_per_sequence={self.max_predictions_per_sequence} must be "
                "at least 1"
            )
        if self.both_orders and (self.objective, self.sop_negatives) != ("mlm+sop", "in_document"):
            # a stranger is no more in order before a text than behind it
            raise InputError("both_orders needs objective=mlm+sop and sop_negatives=in_document")
        if self.both_orders and (self.batch_tokens % 2 or self.batch_tokens < 2 * self.max_length):
            raise InputError(
                f"both_orders needs an even batch_tokens of at least two sequences "
                f"({2 * self.max_length}), not {self.batch_tokens}"
            )
        if self.predictions < 1:
            raise InputError(
                f"mask_rate={self.mask_rate} of batch_tokens={self.batch_tokens} predicts nothing: "
                "raise one of them"
            )
        if self.max_ngram < 1:
            raise InputError(f"max_ngram={self.max_ngram} must be at least 1")
        if not 0 <= self.seed < 2**63:
            raise InputError(f"seed={self.seed} must lie in [0, 2**63)")
        if self.sop_negatives == "google" and self.objective != "mlm+sop":
            raise InputError(
                f"sop_negatives=google needs objective=mlm+sop, not {self.objective!r}"
            )

    @property
    def predictions(self) -> int:
        """P: predictions in a batch, exactly."""
        rate = self.mask_rate
        if self.max_predictions_per_sequence is not None:
            rate = min(rate, self.max_predictions_per_sequence / self.max_length)
        if self.both_orders:
            return 2 * round(rate * self.batch_tokens / 2)
        return round(rate * self.batch_tokens)

    @property
    def content_length(self) -> int:
        """Text tokens in the longest sequence: max_length less [CLS] and one or two [SEP]."""
        return self.max_length - (2 if self.objective == "mlm" else 3)

    @property
    def windows_per_batch(self) -> int:
        """Windows of the corpus that one batch uses up."""
        return self.batch_tokens // self.max_length // (2 if self.both_orders else 1)


def _one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise InputError(f"{name}={value!r} must be one of {', '.join(choices)}")
