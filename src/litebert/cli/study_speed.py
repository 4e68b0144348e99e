"""`litebert study speed`: training throughput of the six models relative to BERT-large."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro
from rich.console import Console

from litebert.cli.text_table import print_table
from litebert.config import PRESETS
from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.hardware import choose_device
from litebert.study.paper_tables import SIX
from litebert.study.speed import PAPER, Speed, measure_speed, relative
from litebert.study.tables import markdown_table
from litebert.train.provenance import provenance


@dataclass(frozen=True, kw_only=True)
class Arguments:
    """What is timed."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME ...")] = ()
    """Presets; the six of the paper when left out (the largest needs 8 GB of memory)."""
    sequences: int = 4
    """Sequences of a batch."""
    length: int = 128
    """Tokens of a sequence."""
    runs: int = 5
    """Steps that are timed, after one that is not."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    output: Path | None = None
    """Directory for results.json and report.md; none is written when left out."""
    json: bool = False
    """Print one JSON object on standard output."""


def main(argv: list[str]) -> int:
    """Time models; raises InputError for names that are no presets."""
    arguments = tyro.cli(Arguments, args=argv, prog="litebert study speed", description=__doc__)
    names = arguments.names or SIX
    unknown = [name for name in names if name not in PRESETS]
    if unknown:
        raise InputError(f"{unknown[0]}: not a preset: choose from {', '.join(PRESETS)}")
    if min(arguments.sequences, arguments.length - 7, arguments.runs) < 1:
        raise InputError("sequences and runs must be at least 1, length at least 8")
    console = Console(stderr=True)
    device = choose_device(arguments.device)
    with console.status("timing") as status:
        speeds = list(
            measure_speed(
                names,
                sequences=arguments.sequences,
                length=arguments.length,
                runs=arguments.runs,
                device=device,
                on_model=lambda name: status.update(f"timing {name}"),
            )
        )
    rows = _rows(speeds)
    facts = {
        "sequences": arguments.sequences,
        "length": arguments.length,
        **provenance(device),
    }
    found = {"facts": facts, "models": _as_json(speeds)}
    if arguments.output is not None:
        write_atomically(arguments.output / "results.json", as_json(found))
        report = f"# Training throughput\n\n{markdown_table(rows)}\n\n{json.dumps(facts)}\n"
        write_atomically(arguments.output / "report.md", report.encode())
    if arguments.json:
        print(json.dumps(found))
        return 0
    print_table(rows)
    return 0


def _as_json(speeds: list[Speed]) -> dict[str, dict[str, Any]]:
    factors = relative(speeds)
    return {
        speed.name: {
            "tokens_per_second": speed.tokens_per_second,
            "relative": factors[speed.name],
            "paper": PAPER.get(speed.name),
            "latency_ms": speed.milliseconds,
            "training_flops_per_token": speed.flops_per_token,
            "runs": speed.training,
        }
        for speed in speeds
    }


def _rows(speeds: list[Speed]) -> list[list[str]]:
    factors = relative(speeds)
    head = ["model", "tokens/s", "relative", "paper", "by FLOPs", "forward of one, ms"]
    by_flops = {speed.name: 1 / speed.flops_per_token for speed in speeds}
    reference = by_flops.get("bert-large", next(iter(by_flops.values())))
    # the paper's numbers are relative to BERT-large's
    comparable = "bert-large" in factors
    rows = [head]
    for speed in speeds:
        rows.append(
            [
                speed.name,
                f"{speed.tokens_per_second:,.0f}",
                f"{factors[speed.name]:.2f}",
                f"{PAPER[speed.name]:g}" if speed.name in PAPER and comparable else "-",
                f"{by_flops[speed.name] / reference:.2f}",
                f"{speed.milliseconds:,.1f}",
            ]
        )
    return rows
