"""The page of a study: verdicts first, then pictures, the table, and what it took.

report.html needs no network; report.md is the same for a repository, with pictures beside it.
"""

from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from litebert.files import write_atomically
from litebert.runs.drawing import in_page, picture, short_number
from litebert.runs.page import headed_table, page, section
from litebert.study.claims import Finding, Judgement, interval
from litebert.study.figures import draw_learning, draw_metric, draw_similarity, title_of
from litebert.study.paper_results import Printed
from litebert.study.results import StudyResults, machine_hours
from litebert.study.tables import markdown_table

PAPERS_NUMBERS = (
    "As printed: fine-tuned models of base size and more, so another measure at another scale. "
    "SQuAD as F1/exact match, the rest accuracy."
)
BRIEF = {
    "mlm_loss": "loss, nats",
    "sop_accuracy": "order, %",
    "nsp_accuracy": "next, %",
    "blimp": "BLiMP, %",
    "downstream": "tasks",
}
SHOWN = ("mlm_loss", "mlm_accuracy", "sop_accuracy", "nsp_accuracy", "blimp", "downstream")


def write_study_report(results: StudyResults, directory: Path) -> Path:
    """Write report.html and report.md with its pictures; returns the page."""
    pictures = _pictures(results)
    sections = [
        f'<h1>{escape(results.study.title)}</h1><p class="soft">{escape(_question(results))}</p>',
        section("Claims", headed_table(claims_table(results.judgements))),
        *(
            section(title, f'<div class="panel">{in_page(figure, name)}</div>')
            for name, (title, figure) in pictures.items()
        ),
        section("Figures", headed_table(figures_table(results))),
        *(
            section(title, f"<p>{escape(words)}</p>{headed_table(printed.lines)}")
            for printed in results.study.printed
            for title, words in [_beside(printed)]
        ),
        section("What it took", f"<p>{escape(cost_in_words(results))}</p>"),
    ]
    footer = (
        "Written by litebert from results.json; the paper is Lan et al. 2020, arXiv 1909.11942."
    )
    path = directory / "report.html"
    text = page(results.study.title, sections, footer=footer)
    write_atomically(path, text.encode("utf-8", "replace"))
    for name, (_, figure) in pictures.items():
        write_atomically(directory / "pictures" / f"{name}.svg", picture(figure))
    write_atomically(directory / "report.md", _markdown(results, pictures).encode())
    return path


def claims_table(judgements: list[Judgement]) -> list[list[str]]:
    """Verdict, sentence, effect, interval and seeds of every claim, under a head."""
    rows = [["verdict", "claim", "effect [95 % interval]", "seeds"]]
    for judgement in judgements:
        effects = "; ".join(_effect(finding) for finding in judgement.findings) or "-"
        seeds = min((finding.seeds for finding in judgement.findings), default=0)
        needed = [f.seeds_needed for f in judgement.findings if f.verdict == "undecided"]
        note = ""
        if judgement.verdict == "undecided" and seeds > 1:
            most = None if None in needed else max(n for n in needed if n)
            note = f" (about {most} would decide)" if most else " (more than 1,000 would decide)"
        rows.append([judgement.verdict, judgement.claim.sentence, effects, f"{seeds}{note}"])
    return rows


def _effect(finding: Finding) -> str:
    limit = finding.contrast.at_least
    than = f", asked: above {limit:g}" if limit else ""
    if finding.seeds < 2:
        return f"{finding.mean:+.3f}{than}"
    return f"{finding.mean:+.3f} [{finding.low:+.3f}, {finding.high:+.3f}]{than}"


def brief_table(results: StudyResults) -> list[list[str]]:
    """Means over seeds of what every study is asked, for a terminal's width."""
    metrics, parameters = results.metrics, results.of_variant("parameters")
    shown = [name for name in SHOWN if name in metrics and name != "mlm_accuracy"]
    rows = [["variant", "parameters", *(BRIEF[name] for name in shown)]]
    for name in results.variants:
        means = (_mean(list(metrics[metric].get(name, {}).values())) for metric in shown)
        rows.append([name, short_number(parameters[name]), *means])
    return rows


def figures_table(results: StudyResults) -> list[list[str]]:
    """Means over seeds of every variant, with parameters and arithmetic."""
    metrics = results.metrics
    shown = [name for name in SHOWN if name in metrics]
    shown += sorted(set(metrics) - set(shown))
    head = ["variant", "parameters", "tokens", "training FLOPs", *map(title_of, shown), "seeds"]
    rows = [head]
    numbers = {
        field: results.of_variant(field) for field in ("parameters", "tokens", "training_flops")
    }
    for name in results.variants:
        row = [name, f"{numbers['parameters'][name]:,.0f}"]
        row += [short_number(numbers[field][name]) for field in ("tokens", "training_flops")]
        seeds = 0
        for metric in shown:
            values = list(metrics[metric].get(name, {}).values())
            seeds = max(seeds, len(values))
            row.append(_mean(values))
        rows.append([*row, str(seeds)])
    return rows


def _mean(values: list[float]) -> str:
    if not values:
        return "-"
    if len(values) < 2:
        return f"{values[0]:.3f}"
    low, high = interval(np.array(values))
    return f"{np.mean(values):.3f} ± {(high - low) / 2:.3f}"


def _pictures(results: StudyResults) -> dict[str, tuple[str, Any]]:
    found = {
        metric: (title_of(metric), draw_metric(results, metric))
        for metric in SHOWN
        if metric in results.metrics
    }
    over = "time" if results.facts["equal"] == "minutes" else "tokens"
    found["learning"] = (f"Held-out loss over {over}", draw_learning(results))
    by_variant = {}
    for cell in results.cells:
        by_variant.setdefault(cell["variant"], cell["similarity"])
    if results.study.name == "similarity":
        found["similarity"] = ("From layer to layer", draw_similarity(by_variant))
    return found


def _question(results: StudyResults) -> str:
    study = results.study
    note = f" {study.note}" if study.note else ""
    return f"{study.question} The paper: {study.source}.{note} {_budget(results)}"


def _beside(printed: Printed) -> tuple[str, str]:
    """Title of a table of the paper, and what keeps its numbers apart from ours."""
    note = f" {printed.note}" if printed.note else ""
    return f"Beside it: the paper's Table {printed.table}", f"{PAPERS_NUMBERS}{note}"


def _budget(results: StudyResults) -> str:
    facts = results.facts
    quick = ", quick" if facts["quick"] else ""
    each = f", {short_number(facts['tokens'])} tokens a run" if facts["tokens"] else ""
    return f"Scale {results.scale.name}{quick}, equal {facts['equal']}{each}, {facts['data']}."


def cost_in_words(results: StudyResults) -> str:
    """Runs, hours and machines of a study, and the rates that its sweep chose."""
    cells = [*results.cells, *results.sweep]
    taken = sum("taken_from" in cell for cell in cells)
    hardware, commits = (
        ", ".join(sorted({cell["made"][name] for cell in cells})) for name in ("hardware", "commit")
    )
    rates = ", ".join(f"{name} {rate:g}" for name, rate in results.facts["rates"].items())
    swept = f" Factors on the learning rates that the sweep chose: {rates}." if rates else ""
    reused = f" (and {taken} taken from other studies)" if taken else ""
    return (
        f"{len(cells) - taken} runs{reused}, {machine_hours(cells):.1f} hours of training one "
        f"after another, {results.facts['precision']}, {hardware}, commit {commits}.{swept}"
    )


def _markdown(results: StudyResults, pictures: dict[str, tuple[str, Any]]) -> str:
    parts = [
        f"# {results.study.title}",
        _question(results),
        "## Claims",
        markdown_table(claims_table(results.judgements)),
        *(
            f"## {title}\n\n![{title}](pictures/{name}.svg)"
            for name, (title, _) in pictures.items()
        ),
        "## Figures",
        markdown_table(figures_table(results)),
        *(
            "\n\n".join((f"## {title}", words, markdown_table(printed.lines)))
            for printed in results.study.printed
            for title, words in [_beside(printed)]
        ),
        "## What it took",
        cost_in_words(results),
    ]
    return "\n\n".join(parts) + "\n"
