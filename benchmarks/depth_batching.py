"""Who goes next when requests arrive at any time: three policies under an open-loop stream.

    python benchmarks/depth_batching.py [--model RUN --exits] [--texts DATA] [--requests 300]

Requests arrive by a Poisson process at shares of what static batches manage in a closed loop, and
nothing waits for answers. Lengths are all one, and with --texts DATA also those of the texts of
DATA/glue. With --exits answers leave as exits.json of the model calibrated (litebert
exits), else after all layers; without --model an albert-base of random weights. JSON lines for
every policy, load, lengths and exits: latencies from the arrival that was due, answers a second
and layers, each beside static batches.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import litebert
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.exits import ExitRule, Exits
from litebert.infer.policies import DepthContinuous, LengthSorted, Policy, Static
from litebert.infer.prepare import prepare
from litebert.infer.step_time import StepTime, measure_step_time
from litebert.interop.load import model_directory
from litebert.interop.task_models import load_task_model
from litebert.tasks.columns import Columns
from litebert.tasks.problems import Problems
from litebert.tasks.registry import task_of
from litebert.tasks.units import TokenSequence
from report import line

FIXED_LENGTH = 64
LOADS = (0.3, 0.6, 0.9)


def policies(step: StepTime, longest: int) -> dict[str, Policy]:
    """Fresh policies; batches of static ones as large as efficient, steps of ours likewise."""
    tokens = max(longest, step.knee(0.9))
    second = (step.fixed + step.by_token * tokens) / tokens
    return {
        "static": Static(tokens),
        "length-sorted": LengthSorted(tokens),
        # a second of waiting is worth the work that is done in a tenth of it
        "depth-continuous": DepthContinuous(tokens, ageing=0.1 / second),
    }


def serve(
    batcher: DepthBatcher, due: Sequence[float], asked: Sequence[TokenSequence], *, leave: bool
) -> tuple[list[float], float, float]:
    """Latencies, seconds in all and mean layers of requests that come when they are due."""
    start, sent, latencies, layers = time.perf_counter(), 0, [], []
    number_of = {}
    while sent < len(due) or len(batcher):
        now = time.perf_counter() - start
        while sent < len(due) and due[sent] <= now:
            number_of[batcher.submit(asked[sent], may_leave=leave)] = sent
            sent += 1
        if not len(batcher):
            time.sleep(max(0.0, due[sent] - (time.perf_counter() - start)))
            continue
        for answer in batcher.step():
            latencies.append(time.perf_counter() - start - due[number_of[answer.number]])
            layers.append(answer.layers)
    return latencies, time.perf_counter() - start, statistics.mean(layers)


def lengths_of_texts(data: Path, draw: random.Random, count: int) -> list[int]:
    """Lengths of single sentences, pairs, and questions with passages, at 4 letters a token."""
    letters: list[int] = []
    for task in ("sst-2", "mrpc", "qnli"):
        for split in task_of(task).read(data / "glue", Problems(), Columns()).dev.values():
            letters += [len(e.first) + len(e.second or "") for e in split.examples]
    return [min(512, 3 + letters // 4) for letters in draw.choices(letters, k=count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--model", help="a run fine-tuned with every_depth=true")
    parser.add_argument("--exits", action="store_true")
    parser.add_argument("--texts", type=Path)
    parser.add_argument("--requests", type=int, default=300)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--precision", choices=("auto", "fp32", "bf16", "int8"), default="auto")
    arguments = parser.parse_args()
    rule = None
    if arguments.model:
        tuned = load_task_model(model_directory(arguments.model))
        model = tuned.model.encoder
        if arguments.exits:
            exits = Exits.read(model_directory(arguments.model))
            rule = ExitRule(exits, tuned.model.head)
    else:
        model = litebert.build(litebert.PRESETS["albert-base"])
    model = prepare(model, arguments.precision, source=arguments.model)
    step = measure_step_time(model)
    draw = random.Random(0)
    streams = {"fixed": [FIXED_LENGTH] * arguments.requests}
    if arguments.texts:
        streams["texts"] = lengths_of_texts(arguments.texts, draw, arguments.requests)
    for name, lengths in streams.items():
        asked = [
            TokenSequence([2, *draw.choices(range(5, 1000), k=length - 2), 3], length)
            for length in lengths
        ]
        closed = DepthBatcher(model, policies(step, max(lengths))["static"])
        _, seconds, _ = serve(closed, [0.0] * len(asked), asked, leave=False)
        capacity = len(asked) / seconds
        for load in LOADS:
            found: dict[str, dict[str, list[float]]] = {}
            for run in range(arguments.runs):
                waits = np.random.default_rng(run).exponential(1 / (load * capacity), len(asked))
                due = np.cumsum(waits).tolist()
                for policy, chosen in policies(step, max(lengths)).items():
                    batcher = DepthBatcher(model, chosen, leave=rule)
                    latencies, seconds, layers = serve(batcher, due, asked, leave=rule is not None)
                    measured = {
                        "p50, ms": 1000 * float(np.quantile(latencies, 0.5)),
                        "p99, ms": 1000 * float(np.quantile(latencies, 0.99)),
                        "answers a second": len(asked) / seconds,
                        "layers": layers,
                    }
                    for unit, value in measured.items():
                        found.setdefault(policy, {}).setdefault(unit, []).append(value)
            for policy, values in found.items():
                for unit, runs in values.items():
                    case = f"{policy} {load:.0%} {name}" + (" exits" if rule else "")
                    peer = statistics.median(found["static"][unit])
                    print(
                        line("depth_batching", case=case, unit=unit, runs=runs, peer="static",
                             peer_value=peer),
                        flush=True,
                    )  # fmt: skip


if __name__ == "__main__":
    main()
