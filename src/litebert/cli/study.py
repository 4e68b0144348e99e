"""`litebert study`: the comparisons of the paper as commands, on your own text."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
import tyro

from litebert.cli import study_size, study_speed
from litebert.cli.status_bar import StatusBar
from litebert.cli.text_table import print_table
from litebert.errors import InputError
from litebert.hardware import choose_device, choose_dtype, product_ceiling
from litebert.study.cell import Cell
from litebert.study.overview import OVERVIEW, write_overview
from litebert.study.registry import STUDIES, study_of
from litebert.study.report import brief_table, claims_table, write_study_report
from litebert.study.results import StudyResults, read_results
from litebert.study.run_study import StudySettings, run_study
from litebert.study.scale import SCALES, ScaleName
from litebert.study.study import Equal, flops_per_token

# Of the products' rate, what training of small models reaches, evaluations included.
USUAL_UTILISATION = 0.5

USAGE = """usage: litebert study NAME --data TEXT --output DIR [...]
       litebert study size|speed [NAME ...]
       litebert study list
       litebert study report DIR
       litebert study compare DIR DIR ...
       litebert study overview FOLDER

{studies}

`litebert study NAME --help` explains every field."""


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What a study runs on."""

    data: Path
    """A folder or file of text, or a folder with train/ and valid/ shards (litebert prepare)."""
    output: Path
    """Directory of the study; one that was begun goes on."""
    scale: ScaleName = "cpu"
    """cpu: models of about a million weights, minutes a run; gpu: albert-base, 300 M tokens a run;
    paper: the paper's recipe and budget on albert-base's shapes, one seed, a GPU a run."""
    seeds: int | None = None
    """Runs of every variant; the scale's when left out."""
    quick: bool = False
    """A third of the tokens, two seeds, the main variants, no sweep of the rates."""
    equal: Equal | None = None
    """What all variants get as much of; the study's own when left out."""
    tokens: int | None = None
    """Tokens of every run; the scale's when left out."""
    minutes: float | None = None
    """Minutes of every run, where minutes are what is equal; the scale's when left out."""
    engine: Literal["local", "ray"] = "local"
    """Where the runs go: this machine, or a Ray cluster (RAY_ADDRESS)."""
    parallel: int | None = None
    """Runs at once on this machine; as many as its cores allow when left out."""
    blimp: Path | None = None
    """BLiMP's file or folder: every model is asked."""
    tasks: tuple[str, ...] = ()
    """Tasks that every model is fine-tuned on, as NAME=FOLDER: sst-2=data/glue."""
    reuse: tuple[Path, ...] = ()
    """Directories of other studies: runs that would be the same are taken from there."""
    json: bool = False
    """Print one JSON object with the verdicts on standard output."""


def main(argv: list[str]) -> int:
    """Run the verb; returns the exit code."""
    if not argv or argv[0] in ("-h", "--help"):
        names = "\n".join(f"  {s.name:<11} {s.question} ({s.source})" for s in STUDIES.values())
        print(USAGE.format(studies=names))
        return 0 if argv else 2
    verb, rest = argv[0], argv[1:]
    if verb in ("size", "speed"):
        return {"size": study_size, "speed": study_speed}[verb].main(rest)
    if verb == "list":
        return _list()
    if verb == "report":
        return _report(rest)
    if verb == "compare":
        return _compare(rest)
    if verb == "overview":
        return _overview(rest)
    study = study_of(verb)
    arguments = tyro.cli(
        Arguments, args=rest, prog=f"litebert study {verb}", description=study.question
    )
    scale = SCALES[arguments.scale]
    for name in ("seeds", "parallel", "tokens", "minutes"):
        value = getattr(arguments, name)
        if value is not None and not value > 0:
            raise InputError(f"--{name} {value} must be above 0")
    equal = arguments.equal or study.equal
    if arguments.minutes is not None and equal != "minutes":
        raise InputError(f"--minutes is for --equal minutes; this study compares at equal {equal}")
    if arguments.tokens is not None and equal == "minutes":
        raise InputError("--tokens is for equal tokens or flops; this study compares at equal time")
    settings = StudySettings(
        output=arguments.output,
        data=arguments.data,
        seeds=arguments.seeds,
        quick=arguments.quick,
        equal=arguments.equal,
        tokens=arguments.tokens,
        minutes=arguments.minutes,
        engine=arguments.engine,
        parallel=arguments.parallel or _places(scale.threads),
        blimp=arguments.blimp,
        tasks=tuple(_task(text) for text in arguments.tasks),
        reuse=arguments.reuse,
    )
    with _Watch(study.name) as watch:
        results = run_study(study, scale, settings, watch=watch.watch)
    page = write_study_report(results, settings.output)
    _show(results, page, as_json=arguments.json)
    return 0


def _places(threads: int) -> int:
    """Runs at once: one a GPU, or as many as the cores allow."""
    return torch.cuda.device_count() or max(1, (os.cpu_count() or 1) // threads)


def _task(text: str) -> tuple[str, Path]:
    name, _, folder = text.partition("=")
    if not folder:
        raise InputError(f"--tasks {text}: give NAME=FOLDER, for instance sst-2=data/glue")
    return name, Path(folder).resolve()


class _Watch(StatusBar):
    """The bar of a study: its plan up front, then one step a run."""

    work = done = 0.0

    def watch(self, event: str, values: dict[str, Any]) -> None:
        """Show an event of the study."""
        if event == "plan":
            cells = values["cells"]
            self.work = sum(map(_work, cells))
            sweep = sum(cell.sweep for cell in cells)
            self.say(
                f"plan: {len(cells) - sweep} runs and {sweep} short ones for the rates, "
                f"{values['parallel']} at once, up to {self._minutes(cells, values):.0f} minutes "
                "(less for what is done already)"
            )
            return
        cell, figures = values["cell"], values["result"]["figures"]
        self.done += _work(cell)
        loss = f"masked-LM loss {figures['mlm_loss']:.3f}" if figures else "diverged"
        self.show(self.done / self.work, f"{cell.name}: {loss}")

    def _minutes(self, cells: list[Cell], values: dict[str, Any]) -> float:
        """What the plan takes here, at the share of the products' rate that small models reach."""
        if "minutes" in cells[-1].recipe:
            return self.work / 60 / values["parallel"]
        device = choose_device("auto")
        ceiling = product_ceiling(device, choose_dtype("auto", device))
        return self.work / (USUAL_UTILISATION * ceiling) / 60


def _work(cell: Cell) -> float:
    """FLOPs of a run, or seconds where those are what is given."""
    recipe = cell.recipe
    if "tokens" not in recipe:
        return 60 * recipe["minutes"]
    return recipe["tokens"] * flops_per_token(cell.shape, recipe)


def _show(results: StudyResults, page: Path, *, as_json: bool) -> None:
    if as_json:
        print((page.parent / "results.json").read_text("utf-8"), end="")
        return
    for rows in (claims_table(results.judgements), brief_table(results)):
        print_table(rows)
    print(f"report: {page}")


def _list() -> int:
    rows = [(study.name, study.question, study.source) for study in STUDIES.values()]
    print_table([("study", "question", "source"), *rows])
    return 0


def _report(argv: list[str]) -> int:
    if len(argv) != 1:
        raise InputError("give the directory of a study: litebert study report DIR")
    results = read_results(Path(argv[0]))
    _show(results, write_study_report(results, Path(argv[0])), as_json=False)
    return 0


def _overview(argv: list[str]) -> int:
    """The claims of all studies in a folder, on one page."""
    if len(argv) != 1:
        raise InputError("give the folder of your studies: litebert study overview FOLDER")
    for title, rows in write_overview(Path(argv[0])):
        print(title)
        print_table(rows)
    print(f"page: {Path(argv[0]) / OVERVIEW}")
    return 0


def _compare(argv: list[str]) -> int:
    """The verdicts of several runs of one study, at other scales or on other text, side by side."""
    if len(argv) < 2:
        raise InputError("give two directories or more: litebert study compare DIR DIR ...")
    found = [read_results(Path(name)) for name in argv]
    if len({results.study.name for results in found}) > 1:
        raise InputError(f"{', '.join(argv)}: these are different studies; compare one study's")
    rows = [["claim", *argv]]
    for judgements in zip(*(results.judgements for results in found), strict=True):
        cells = [claims_table([judgement])[1] for judgement in judgements]
        # a sentence may name the sizes of its scale
        same = len({row[1] for row in cells}) == 1
        verdicts = (f"{row[0]}: {row[2]}" + ("" if same else f" ({row[1]})") for row in cells)
        rows.append([judgements[0].claim.name, *verdicts])
    print_table(rows)
    return 0
