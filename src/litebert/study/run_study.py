"""A study from its text to its report: corpus, sweep, cells, claims, pages.

    STUDY/study.json ladder.json corpus/ cells/ results.json report.html report.md

Everything is done cell by cell: a study that was killed goes on with the same command, and ends in
the same results.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.hardware import choose_device, choose_dtype, precision_of
from litebert.study.cell import LADDER, Cell, read_result
from litebert.study.corpus import study_corpus
from litebert.study.engine import run_cells
from litebert.study.ladder import Ladder
from litebert.study.results import StudyResults
from litebert.study.scale import Scale
from litebert.study.study import Budget, Equal, Study, cells_of, chosen_rates, sweep_cells
from litebert.train.recipe_file import differences

STUDY = "study.json"

Watch = Callable[[str, dict[str, Any]], None]

# Of the full budget, seeds and variants what `--quick` takes.
QUICK_TOKENS, QUICK_SEEDS = 1 / 3, 2


@dataclass(frozen=True, kw_only=True)
class StudySettings:
    """What a user chooses of a study."""

    output: Path
    data: Path
    seeds: int | None = None
    """Seeds of every variant; the scale's when left out."""
    quick: bool = False
    """A third of the tokens, two seeds, the main variants and no sweep."""
    equal: Equal | None = None
    tokens: int | None = None
    """Of a cell, where tokens are what is equal; the scale's when left out."""
    minutes: float | None = None
    """Of a cell, where minutes are what is equal; the scale's when left out."""
    engine: Literal["local", "ray"] = "local"
    parallel: int = 1
    blimp: Path | None = None
    tasks: tuple[tuple[str, Path], ...] = ()
    reuse: tuple[Path, ...] = ()
    """Directories of other studies: runs that would be the same are taken from there."""


def run_study(
    study: Study,
    scale: Scale,
    settings: StudySettings,
    *,
    watch: Watch = lambda event, values: None,
) -> StudyResults:
    """Run a study, or go on with it, and write its results.

    `watch` gets "plan" with all cells and "cell" with each result. Raises InputError for text that
    cannot be used and for a directory of another study.
    """
    settings = replace(settings, output=settings.output.resolve())
    scale = replace(scale, tokens=settings.tokens or scale.tokens)
    described = _describe(study, scale, settings)
    settings.output.mkdir(parents=True, exist_ok=True)
    corpus = study_corpus(settings.data, settings.output / "corpus", vocab_size=scale.vocab_size)
    variants = study.variants(scale)
    if settings.quick:
        variants = [v for v in variants if not study.quick or v.name in study.quick]
    for variant in variants:
        corpus.thin(variant.every)
    ladder = Ladder(
        train=corpus.train,
        valid=corpus.valid,
        max_length=scale.recipe["max_length"],
        batches=scale.batches,
        blimp=settings.blimp and settings.blimp.resolve(),
        tasks=settings.tasks,
        task_recipe=scale.task_recipe,
    )
    ladder.check()
    # the directory is this study's once all that it reads was read
    write_atomically(settings.output / STUDY, as_json(described))
    ladder.write(settings.output / LADDER)
    budget = Budget(
        scale=scale,
        corpus=corpus,
        equal=described["equal"],
        minutes=settings.minutes,
        precision=described["precision"],
    )
    share = QUICK_TOKENS if settings.quick else 1.0
    seeds = settings.seeds or (QUICK_SEEDS if settings.quick else scale.seeds)
    sweep = [] if settings.quick else sweep_cells(variants, budget)
    # the rates are not known before the sweep, and no number of the plan depends on them
    plan = cells_of(variants, budget, seeds=seeds, rates={}, share=share)
    watch("plan", {"cells": sweep + plan, "parallel": settings.parallel})

    def on_done(cell: Cell, result: dict[str, Any]) -> None:
        watch("cell", {"cell": cell, "result": result})

    how: dict[str, Any] = {"engine": settings.engine, "parallel": settings.parallel}
    how |= {"threads": scale.threads, "reuse": settings.reuse}
    run_cells(settings.output, sweep, **how, on_done=on_done)
    swept = _results(settings.output, sweep)
    rates = chosen_rates(variants, swept)
    cells = cells_of(variants, budget, seeds=seeds, rates=rates, share=share)
    run_cells(settings.output, cells, **how, on_done=on_done)
    results = StudyResults(
        study=study,
        scale=scale,
        # a page is shown to others: no paths of this machine
        facts={**described, "data": settings.data.resolve().name, "seeds": seeds, "rates": rates},
        cells=_results(settings.output, cells),
        sweep=swept,
    )
    results.write(settings.output)
    return results


def _describe(study: Study, scale: Scale, settings: StudySettings) -> dict[str, Any]:
    """What the study is, as its directory says it; raises InputError when that holds another."""
    described = {
        "study": study.name,
        "scale": scale.name,
        "data": str(settings.data.resolve()),
        "quick": settings.quick,
        "equal": settings.equal or study.equal,
        "tokens": settings.tokens,
        "minutes": settings.minutes,
    }
    for other in settings.reuse:
        if not (other / STUDY).is_file():
            raise InputError(f"--reuse {other}: no study there: check the path")
    place = settings.output / STUDY
    if place.is_file():
        before = place.read_text("utf-8")
        # the faster arithmetic is found by timing, once for all runs
        described["precision"] = json.loads(before).get("precision")
        if differs := differences(before, json.dumps(described)):
            raise InputError(
                f"{settings.output} holds another study ({differs}): choose another --output"
            )
        return described
    if settings.reuse:
        known = json.loads((settings.reuse[0] / STUDY).read_text("utf-8"))
        return described | {"precision": known["precision"]}
    device = choose_device("auto")
    dtype = choose_dtype(scale.recipe.get("precision", "auto"), device)
    return described | {"precision": precision_of(dtype)}


def _results(study: Path, cells: list[Cell]) -> list[dict[str, Any]]:
    found = [read_result(study, cell.name) for cell in cells]
    return [result for result in found if result is not None]
