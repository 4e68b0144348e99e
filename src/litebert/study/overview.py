"""All studies of a folder on one page: every claim with its verdict, and what the runs took."""

import json
from pathlib import Path

from litebert.errors import InputError
from litebert.files import write_atomically
from litebert.study.registry import STUDIES
from litebert.study.report import claims_table, cost_in_words
from litebert.study.results import StudyResults, machine_hours, read_results
from litebert.study.size_report import counted_rows
from litebert.study.tables import markdown_table

OVERVIEW = "overview.md"


def studies_in(folder: Path) -> dict[Path, StudyResults]:
    """The studies whose directories lie in a folder, in the order of `litebert study list`.

    Raises InputError when there is none.
    """
    found = {
        place.parent: read_results(place.parent)
        for place in sorted(folder.glob("*/results.json"))
        if "study" in json.loads(place.read_text("utf-8"))  # size and speed have no cells
    }
    if not found:
        raise InputError(f"{folder}: no directory of a study in it: check the path")
    order = list(STUDIES)
    return dict(sorted(found.items(), key=lambda each: order.index(each[1].study.name)))


def write_overview(folder: Path) -> list[tuple[str, list[list[str]]]]:
    """Write overview.md of a folder of studies; returns titles with rows of claims under a head.

    Raises InputError when there is no study in it.
    """
    studies = studies_in(folder)
    text = ["# What the studies found", _total(studies)]
    tables = []
    for place, results in studies.items():
        rows, study = claims_table(results.judgements), results.study
        text += [
            f"## [{study.title}]({place.name}/report.md)",
            f"{study.question} The paper: {study.source}.",
            markdown_table(rows),
            cost_in_words(results),
        ]
        tables.append((study.title, rows))
    text += ["## Counted, without a run", markdown_table(counted_rows())]
    write_atomically(folder / OVERVIEW, ("\n\n".join(text) + "\n").encode())
    return [*tables, ("Counted, without a run", counted_rows())]


def _total(studies: dict[Path, StudyResults]) -> str:
    cells = [cell for results in studies.values() for cell in (*results.cells, *results.sweep)]
    runs = sum("taken_from" not in cell for cell in cells)
    named = "study" if len(studies) == 1 else "studies"
    return (
        f"{len(studies)} {named}, {runs} runs, {machine_hours(cells):.1f} hours of training one "
        "after another. Verdicts are about the scale that was run, not about the paper's."
    )
