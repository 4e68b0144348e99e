"""What a study found: the results of its cells, figures by metric, variant and seed, verdicts.

results.json of a study's directory holds the cells as they ended; everything else follows from it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.study.claims import Judgement, Values, judge
from litebert.study.registry import study_of
from litebert.study.scale import SCALES, Scale
from litebert.study.study import Study


@dataclass(frozen=True, kw_only=True)
class StudyResults:
    """A study that has run, as far as it did."""

    study: Study
    scale: Scale
    facts: dict[str, Any]
    """Scale, corpus, what is equal, seeds, rates."""
    cells: list[dict[str, Any]]
    """result.json of every cell of the study itself."""
    sweep: list[dict[str, Any]]
    """And of the short runs that chose the rates."""

    @property
    def variants(self) -> list[str]:
        """The variants that ran, in the study's order."""
        ran = {cell["variant"] for cell in self.cells}
        return [v.name for v in self.study.variants(self.scale) if v.name in ran]

    @property
    def metrics(self) -> dict[str, dict[str, dict[int, float]]]:
        """Of every metric, every variant's figure by seed."""
        found: dict[str, dict[str, dict[int, float]]] = {}
        for cell in self.cells:
            for metric, value in cell["figures"].items():
                by_variant = found.setdefault(metric, {})
                by_variant.setdefault(cell["variant"], {})[cell["seed"]] = value
        return found

    @property
    def judgements(self) -> list[Judgement]:
        """The study's claims, judged."""
        metrics: dict[str, Values] = {**self.metrics}
        claims = self.study.claims(self.scale)
        if self.facts["quick"] and self.study.quick:
            # of the main variants alone: what needs others was not asked
            claims = [claim for claim in claims if claim.variants <= set(self.study.quick)]
        return [judge(claim, metrics) for claim in claims]

    def of_variant(self, field: str) -> dict[str, float]:
        """A number of every variant, its mean over seeds: parameters, tokens, training_flops."""
        values: dict[str, list[float]] = {}
        for cell in self.cells:
            values.setdefault(cell["variant"], []).append(cell[field])
        return {name: sum(each) / len(each) for name, each in values.items()}

    def write(self, directory: Path) -> None:
        """Write results.json."""
        values = {
            "study": self.study.name,
            "scale": self.scale.name,
            "facts": self.facts,
            "claims": [_values_of(judgement) for judgement in self.judgements],
            "cells": self.cells,
            "sweep": self.sweep,
        }
        write_atomically(directory / "results.json", as_json(values))


def read_results(directory: Path) -> StudyResults:
    """The results of a study's directory; raises InputError when it has none."""
    place = directory / "results.json"
    if not place.is_file():
        raise InputError(f"{directory}: no results.json of a study: check the path")
    values = json.loads(place.read_text("utf-8"))
    return StudyResults(
        study=study_of(values["study"]),
        scale=SCALES[values["scale"]],
        facts=values["facts"],
        cells=values["cells"],
        sweep=values["sweep"],
    )


def _values_of(judgement: Judgement) -> dict[str, Any]:
    """A judgement as JSON values; endless intervals as null."""
    return {
        "claim": judgement.claim.sentence,
        "verdict": judgement.verdict,
        "findings": [
            {
                "metric": finding.contrast.metric,
                "weights": dict(finding.contrast.weights),
                "at_least": finding.contrast.at_least,
                "mean": finding.mean,
                "interval": None if finding.seeds < 2 else [finding.low, finding.high],
                "seeds": finding.seeds,
                "seeds_needed": finding.seeds_needed,
            }
            for finding in judgement.findings
        ],
    }


def machine_hours(cells: Sequence[dict[str, Any]]) -> float:
    """Hours of training of all cells that the study itself did, one after another."""
    return sum(cell["seconds"] for cell in cells if "taken_from" not in cell) / 3600
