"""A study: variants of one shape or recipe, and the claims they bear on."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from dataclasses import fields as fields_of
from typing import Any, Literal

from litebert.config import ModelConfig
from litebert.model.flops import training_flops
from litebert.study.cell import Cell
from litebert.study.claims import Claim
from litebert.study.corpus import StudyCorpus
from litebert.study.scale import Scale
from litebert.text.batch_settings import BatchSettings

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
    note: str = ""
    """What a reader has to know before comparing."""


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
    precision: str = "auto",
) -> list[Cell]:
    """The cells of a study: every variant from every seed, at the rates that were chosen.

    `share` is that of the scale's budget which they get. With equal "flops" the first variant has
    the scale's tokens and the others as many as take as much arithmetic; with "minutes" all have
    the scale's, or those that are given.
    """
    cells = []
    for seed in range(seeds):
        names: dict[str, str] = {}
        stages: dict[str, int] = {}
        for variant in variants:
            cell = Cell(
                variant=variant.name,
                seed=seed,
                shape=variant.shape,
                recipe=_recipe(variant, variants[0], scale, corpus, equal, minutes, share)
                | {"precision": precision},
                rates=rates.get(variant.name, 1.0),
                starts_from=variant.starts_from and names[variant.starts_from],
                stage=stages[variant.starts_from] + 1 if variant.starts_from else 0,
            )
            names[variant.name], stages[variant.name] = cell.name, cell.stage
            cells.append(cell)
    return cells


def sweep_cells(
    variants: list[Variant],
    scale: Scale,
    *,
    corpus: StudyCorpus,
    equal: Equal = "tokens",
    minutes: float | None = None,
    precision: str = "auto",
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
            recipe=_recipe(variant, variants[0], scale, corpus, equal, minutes, scale.sweep_share)
            | {"precision": precision},
            rates=factor,
            sweep=True,
        )
        for variant in variants
        if variant.starts_from is None
        for factor in scale.sweep
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


def _recipe(
    variant: Variant,
    reference: Variant,
    scale: Scale,
    corpus: StudyCorpus,
    equal: Equal,
    minutes: float | None,
    share: float,
) -> dict[str, Any]:
    fields = _fields(variant, scale, corpus)
    if equal == "minutes":
        return fields | {"minutes": share * (minutes or scale.minutes)}
    tokens = share * scale.tokens
    if equal == "flops":
        costs = [
            flops_per_token(each.shape, _fields(each, scale, corpus), corpus.vocab_size)
            for each in (reference, variant)
        ]
        tokens *= costs[0] / costs[1]
    return fields | {"tokens": round(tokens)}


def _fields(variant: Variant, scale: Scale, corpus: StudyCorpus) -> dict[str, Any]:
    fields = {**scale.recipe, **variant.recipe, **corpus.fields(every=variant.every)}
    return fields | {"evaluations": 8, "evaluation_batches": 10}


def flops_per_token(shape: ModelConfig, recipe: dict[str, Any], vocab_size: int) -> float:
    """Operations of a training step by token, with a vocabulary and the fields of a recipe."""
    names = {field.name for field in fields_of(BatchSettings)}
    settings = BatchSettings(**{name: recipe[name] for name in recipe if name in names})
    return training_flops(
        replace(shape, vocab_size=vocab_size),
        length=settings.max_length,
        mask_rate=settings.predictions / settings.batch_tokens,
    )
