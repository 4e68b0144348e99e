"""A study: variants of one shape or recipe, and the claims they bear on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from litebert.config import ModelConfig
from litebert.model.flops import training_flops
from litebert.study.cell import Cell
from litebert.study.claims import Claim
from litebert.study.corpus import StudyCorpus
from litebert.study.scale import Scale

Equal = Literal["tokens", "flops", "minutes"]


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
    paper: dict[str, float] = field(default_factory=dict)
    """What the paper prints for it: shown beside ours, never mixed."""


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


def cells_of(
    variants: list[Variant],
    scale: Scale,
    *,
    corpus: StudyCorpus,
    seeds: int,
    rates: dict[str, float],
    share: float = 1.0,
    equal: Equal = "tokens",
    minutes: float | None = None,
) -> list[Cell]:
    """The cells of a study: every variant from every seed, at the rates that were chosen.

    `share` is that of the scale's budget which they get. With equal "flops" the first variant has
    the scale's tokens and the others as many as take as much arithmetic; with "minutes" all have
    the scale's, or those that are given.
    """
    cells = []
    for seed in range(seeds):
        names: dict[str, str] = {}
        for variant in variants:
            cell = Cell(
                variant=variant.name,
                seed=seed,
                shape=variant.shape,
                recipe=_recipe(variant, variants[0], scale, corpus, equal, minutes, share),
                rates=rates.get(variant.name, 1.0),
                starts_from=variant.starts_from and names[variant.starts_from],
            )
            names[variant.name] = cell.name
            cells.append(cell)
    return cells


def sweep_cells(
    variants: list[Variant],
    scale: Scale,
    *,
    corpus: StudyCorpus,
    equal: Equal = "tokens",
    minutes: float | None = None,
) -> list[Cell]:
    """Short runs of every variant at every factor on the rates: all sides get the same search.

    A variant that goes on from another keeps that one's rates.
    """
    if len(scale.sweep) < 2:
        return []
    return [
        Cell(
            variant=variant.name,
            seed=0,
            shape=variant.shape,
            recipe=_recipe(variant, variants[0], scale, corpus, equal, minutes, scale.sweep_share),
            rates=factor,
            sweep=True,
        )
        for variant in variants
        if variant.starts_from is None
        for factor in scale.sweep
    ]


def chosen_rates(variants: list[Variant], results: list[dict[str, Any]]) -> dict[str, float]:
    """For every variant the factor with the least held-out loss in the sweep."""
    best: dict[str, tuple[float, float]] = {}
    for result in results:
        loss = result["figures"]["mlm_loss"]
        name = result["variant"]
        best[name] = min(best.get(name, (loss, result["rates"])), (loss, result["rates"]))
    rates = {name: factor for name, (_, factor) in best.items()}
    for variant in variants:
        if variant.starts_from in rates:
            rates[variant.name] = rates[variant.starts_from]
    return rates


def _recipe(
    variant: Variant,
    reference: Variant,
    scale: Scale,
    corpus: StudyCorpus,
    equal: Equal,
    minutes: float | None,
    share: float,
) -> dict[str, Any]:
    fields = {**scale.recipe, **variant.recipe, **corpus.fields(every=variant.every)}
    fields |= {"evaluations": 8, "evaluation_batches": 10}
    if equal == "minutes":
        return fields | {"minutes": share * (minutes or scale.minutes)}
    tokens = share * scale.tokens
    if equal == "flops":
        costs = [
            training_flops(v.shape, length=fields["max_length"], mask_rate=fields["mask_rate"])
            for v in (reference, variant)
        ]
        tokens *= costs[0] / costs[1]
    return fields | {"tokens": round(tokens)}
