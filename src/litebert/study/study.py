"""A study: variants of one shape or recipe, and the claims they bear on."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from litebert.config import ModelConfig
from litebert.model.flops import training_flops
from litebert.study.cell import Cell
from litebert.study.claims import Claim
from litebert.study.corpus import StudyCorpus
from litebert.study.paper_results import Printed
from litebert.study.scale import Scale
from litebert.text.batch_settings import BatchSettings

Equal = Literal["tokens", "flops", "minutes"]

# Of the budget what each run of the search for rates gets.
SWEEP_SHARE = 1 / 4
EVALUATIONS = {"evaluations": 6, "evaluation_batches": 5}


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One row of a study's table."""

    name: str
    shape: ModelConfig
    recipe: dict[str, Any] = field(default_factory=dict)
    """Fields that differ from the scale's recipe."""
    starts_from: str | None = None
    """The variant whose weights of the same seed it begins with."""
    every: int = 1
    """Of the training documents it sees every so manieth alone."""


@dataclass(frozen=True, kw_only=True)
class Study:
    """What varies, and what it is to show."""

    name: str
    title: str
    question: str
    source: str
    """Table or figure of the paper."""
    variants: Callable[[Scale], list[Variant]]
    claims: Callable[[Scale], tuple[Claim, ...]]
    quick: tuple[str, ...] = ()
    """The variants of `--quick`; all when empty."""
    equal: Equal = "tokens"
    """What all variants get as much of."""
    along: tuple[str, Callable[[ModelConfig], float]] | None = None
    """The axis of a curve: its name and where a shape lies on it; bars when left out."""
    note: str = ""
    """What a reader has to know before comparing."""
    printed: tuple[Printed, ...] = ()
    """The paper's tables, shown beside ours."""


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What every variant of a study gets, at which scale."""

    scale: Scale
    corpus: StudyCorpus
    equal: Equal = "tokens"
    minutes: float | None = None
    """Where minutes are what is equal; the scale's when left out."""
    precision: str = "auto"

    def shape(self, variant: Variant) -> ModelConfig:
        """A variant's model, with the vocabulary of the corpus."""
        return replace(variant.shape, vocab_size=self.corpus.vocab_size)

    def recipe(self, variant: Variant, *, reference: Variant, share: float) -> dict[str, Any]:
        """Fields of a variant's recipe, at a share of the budget.

        With equal "flops" the reference has the scale's tokens and the others as many as take as
        much arithmetic.
        """
        own_fields = self._fields(variant)
        if self.equal == "minutes":
            return own_fields | {"minutes": share * (self.minutes or self.scale.minutes)}
        tokens = share * self.scale.tokens
        if self.equal == "flops":
            whole, own = (
                flops_per_token(self.shape(each), self._fields(each))
                for each in (reference, variant)
            )
            tokens *= whole / own
        return own_fields | {"tokens": round(tokens)}

    def _fields(self, variant: Variant) -> dict[str, Any]:
        return {
            **self.scale.recipe,
            **variant.recipe,
            **self.corpus.fields(every=variant.every),
            "precision": self.precision,
            **EVALUATIONS,
        }


def flops_per_token(shape: ModelConfig, recipe: dict[str, Any]) -> float:
    """Operations of a training step by token, by the fields of a recipe."""
    names = {each.name for each in fields(BatchSettings)}
    settings = BatchSettings(**{name: recipe[name] for name in recipe if name in names})
    return training_flops(
        shape,
        length=settings.max_length,
        mask_rate=settings.predictions / settings.batch_tokens,
    )


def cells_of(
    variants: list[Variant],
    budget: Budget,
    *,
    seeds: int,
    rates: dict[str, float],
    share: float = 1.0,
) -> list[Cell]:
    """The cells of a study: every variant from every seed, at the rates that were chosen.

    `share` is that of the budget which they get; the first variant is its reference.
    """
    cells = []
    for seed in range(seeds):
        done: dict[str, Cell] = {}
        for variant in variants:
            before = done[variant.starts_from] if variant.starts_from else None
            done[variant.name] = Cell(
                variant=variant.name,
                seed=seed,
                shape=budget.shape(variant),
                recipe=budget.recipe(variant, reference=variants[0], share=share),
                rates=rates.get(variant.name, 1.0),
                starts_from=before and before.name,
                stage=before.stage + 1 if before else 0,
            )
        cells += done.values()
    return cells


def sweep_cells(variants: list[Variant], budget: Budget) -> list[Cell]:
    """Short runs of every variant at every factor on the rates: all sides get the same search.

    A variant that goes on from another keeps that one's rates.
    """
    if len(budget.scale.sweep) < 2:
        return []
    return [
        Cell(
            variant=variant.name,
            seed=0,
            shape=budget.shape(variant),
            recipe=budget.recipe(variant, reference=variants[0], share=SWEEP_SHARE),
            rates=factor,
            sweep=True,
        )
        for variant in variants
        if variant.starts_from is None
        for factor in budget.scale.sweep
    ]


def chosen_rates(variants: list[Variant], results: list[dict[str, Any]]) -> dict[str, float]:
    """For every variant the factor with the least held-out loss in the sweep.

    A rate at which a variant diverged is none; one that goes on from another takes that one's.
    """
    best: dict[str, tuple[float, float]] = {}
    for result in results:
        if "mlm_loss" not in result["figures"]:
            continue  # it diverged
        loss = result["figures"]["mlm_loss"]
        name = result["variant"]
        best[name] = min(best.get(name, (loss, result["rates"])), (loss, result["rates"]))
    rates = {name: factor for name, (_, factor) in best.items()}
    for variant in variants:
        if variant.starts_from in rates:
            rates[variant.name] = rates[variant.starts_from]
    return rates
