"""Early answers: speed against accuracy, and the promised against the measured disagreement.

    python benchmarks/exits.py RUN [RUN ...] [--risks 0.005 0.01 0.02 0.05 0.1] > exits.jsonl
    python benchmarks/answers.py exits

Each RUN was fine-tuned with every_depth=true. Its development rows are halved at random: one half
calibrates a margin for every risk, the other, unseen, shows what is measured. Disagreement, layers
and accuracy are means over --draws halvings, and `kept` is the share of the halvings that measure
no more than what was promised; speed is timed on one half, early and full answers in turn.
"""

import argparse
import json
import statistics
import time
from dataclasses import replace

import numpy as np

from litebert.cli.labelled_rows import labelled_rows
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.exits import (
    ExitRule,
    Exits,
    calibrate,
    exit_layers,
    head_of_classes,
    shares_by_layer,
)
from litebert.infer.policies import Static
from litebert.infer.prepare import arithmetic_of, prepare
from litebert.interop.load import model_directory
from litebert.interop.task_models import FineTuned, load_task_model
from litebert.tasks.answering import BATCH_TOKENS, answer
from litebert.tasks.problems import Problems
from litebert.tasks.units import Unit
from report import line

RISKS = (0.005, 0.01, 0.02, 0.05, 0.1)


def halves(count: int, draws: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Random halvings of so many rows: calibration and check."""
    orders = [np.random.default_rng(draw).permutation(count) for draw in range(draws)]
    return [(order[: count // 2], order[count // 2 :]) for order in orders]


def checked(exits: Exits, shares_LNC: np.ndarray, labels_N: np.ndarray) -> dict[str, float]:
    """What a calibrated margin does on rows it has not seen."""
    left = exit_layers(shares_LNC, patience=exits.patience, margin=exits.margin)
    answers = shares_LNC[left - 1, np.arange(len(left))].argmax(-1)
    full = shares_LNC[-1].argmax(-1)
    return {
        "disagreement": float((answers != full).mean()),
        "layers": float(left.mean()),
        "accuracy": 100 * float((answers == labels_N).mean()),
        "full accuracy": 100 * float((full == labels_N).mean()),
    }


def seconds_early(tuned: FineTuned, units: list[Unit], exits: Exits) -> float:
    """Seconds to answer all units as an engine does with early=True."""
    start = time.perf_counter()
    rule = ExitRule(exits, head_of_classes(tuned))
    batcher = DepthBatcher(tuned.model.encoder, Static(BATCH_TOKENS), leave=rule)
    for unit in sorted(units, key=lambda unit: -unit.length):
        batcher.submit(unit.sequences[0], may_leave=True)
    while len(batcher):
        batcher.step()
    return time.perf_counter() - start


def seconds_full(tuned: FineTuned, units: list[Unit]) -> float:
    """Seconds to answer all units after all layers."""
    start = time.perf_counter()
    answer(tuned.model, tuned.kind, units)
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", nargs="+", metavar="RUN")
    parser.add_argument("--risks", nargs="+", type=float, default=RISKS)
    parser.add_argument("--draws", type=int, default=50, help="random halvings of the rows")
    parser.add_argument("--rows", type=int, default=2000, help="at most so many rows of a task")
    parser.add_argument("--rounds", type=int, default=3, help="timed answers of one half")
    parser.add_argument("--precision", default="auto")
    arguments = parser.parse_args()
    for run in arguments.runs:
        measure(run, arguments)


def measure(run: str, arguments: argparse.Namespace) -> None:
    """Print a line for every risk."""
    tuned, problems = load_task_model(model_directory(run)), Problems()
    (part, *_) = labelled_rows(run, tuned, None, problems).values()
    examples = part.examples[: arguments.rows]
    units = tuned.kind.units(examples, tuned.tokenizer, problems)
    labels_N = np.array([unit.target for unit in units])
    tuned.model.encoder = prepare(tuned.model.encoder, arguments.precision)
    shares_LNC = shares_by_layer(tuned, units)
    for risk in arguments.risks:
        found: dict[str, list[float]] = {}
        for calibration, check in halves(len(units), arguments.draws):
            exits = calibrate(shares_LNC[:, calibration], risk=risk)
            for name, value in checked(exits, shares_LNC[:, check], labels_N[check]).items():
                found.setdefault(name, []).append(value)
        (calibration, check), *_ = halves(len(units), 1)
        exits = calibrate(shares_LNC[:, calibration], risk=risk)
        exits = replace(exits, precision=arithmetic_of(tuned.model.encoder))
        asked = [units[number] for number in check]
        seconds: dict[str, list[float]] = {"early": [], "full": []}
        for _ in range(arguments.rounds):
            seconds["full"].append(seconds_full(tuned, asked))
            seconds["early"].append(seconds_early(tuned, asked, exits))
        measured = line(
            "exits",
            case=f"{tuned.task}, risk {risk:.1%}, {arithmetic_of(tuned.model.encoder)}",
            unit="answers/s",
            runs=[len(asked) / taken for taken in seconds["early"]],
            peer="full depth",
            peer_value=round(len(asked) / statistics.median(seconds["full"]), 3),
        )
        more = {name: round(statistics.mean(values), 4) for name, values in found.items()}
        more["kept"] = statistics.mean(value <= risk for value in found["disagreement"])
        more |= {"rows": len(units), "draws": arguments.draws, "of": len(shares_LNC)}
        print(json.dumps(json.loads(measured) | more), flush=True)


if __name__ == "__main__":
    main()
