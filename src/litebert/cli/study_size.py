"""`litebert study size`: parameters by part, arithmetic, and every count that the paper prints."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from litebert.cli.describe import find
from litebert.cli.text_table import print_table
from litebert.study.paper_tables import SIX, counted_models
from litebert.study.size import Comparison, Size, compare, counted_claims, measure
from litebert.study.size_report import (
    SIZE_NOTE,
    count_rows,
    counted_rows,
    size_rows,
    write_size_report,
)


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What is counted."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME ...")] = ()
    """Presets or directories of models; the six of the paper's Table 1 when left out."""
    output: Path | None = None
    """Directory for report.html, report.md and the pictures; none is written when left out."""
    json: bool = False
    """Print one JSON object on standard output."""


def main(argv: list[str]) -> int:
    """Count; raises InputError for a name that is neither preset nor directory."""
    arguments = tyro.cli(Arguments, args=argv, prog="litebert study size", description=__doc__)
    sizes = {name: measure(find(name)) for name in arguments.names or SIX}
    comparisons = [compare(counted) for counted in counted_models()]
    if arguments.output is not None:
        page = write_size_report(sizes, comparisons, arguments.output)
    if arguments.json:
        print(json.dumps(_as_json(sizes, comparisons)))
        return 0
    for rows in (counted_rows(), size_rows(sizes, exact=False), count_rows(comparisons)):
        print_table(rows)
    print(SIZE_NOTE)
    if arguments.output is not None:
        print(f"report: {page}")
    return 0


def _as_json(sizes: dict[str, Size], comparisons: list[Comparison]) -> dict[str, Any]:
    models = {name: {**asdict(found), "encoder": found.encoder} for name, found in sizes.items()}
    paper = [
        {
            "table": comparison.counted.table,
            "name": comparison.counted.name,
            "millions": comparison.counted.millions,
            "encoder": comparison.exact,
            "as_the_paper_counts": comparison.by_rule,
            "reproduced": comparison.reproduced,
            "explanation": comparison.explanation,
        }
        for comparison in comparisons
    ]
    return {
        "claims": [asdict(found) for found in counted_claims()],
        "models": models,
        "paper": paper,
    }
