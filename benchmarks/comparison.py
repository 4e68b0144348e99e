"""The claims of docs/comparison.md: every study that was run, its verdicts and what it took.

    python benchmarks/comparison.py

Reads docs/results/studies/NAME/results.json, as `litebert study NAME` writes them.
"""

from pathlib import Path

from litebert.study.registry import STUDIES
from litebert.study.report import claims_table, cost_in_words
from litebert.study.results import StudyResults, read_results
from litebert.study.size_report import counted_rows
from litebert.study.tables import markdown_table

PLACE = Path(__file__).resolve().parents[1] / "docs/results/studies"


def committed() -> list[StudyResults]:
    """The results of every study that was run, in the order of the registry."""
    return [read_results(PLACE / name) for name in STUDIES if (PLACE / name).is_dir()]


def page() -> str:
    """The claims of all studies as one table, and what each study took."""
    rows = [["study", *counted_rows()[0]]]
    rows += [["size", *row] for row in counted_rows()[1:]]
    cost = []
    for results in committed():
        name = f"[{results.study.name}](results/studies/{results.study.name}/report.md)"
        rows += [[name, *row] for row in claims_table(results.judgements)[1:]]
        cost.append(f"- {name}: {cost_in_words(results)}")
    return "\n".join([markdown_table(rows), "", *cost])


if __name__ == "__main__":
    print(page())
