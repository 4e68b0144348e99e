"""Who goes next when requests arrive at any time: four policies under an open-loop stream.

    python benchmarks/depth_batching.py [--model RUN --exits] [--texts DATA] [--requests 300]

Static batches take what has come, up to 16,384 tokens as text-embeddings-inference does, and run to
their end: answers come together, and early exits end a batch once all of its rows are sure. Sorted
ones, of like length as infinity's, take as many tokens as 32 of the longest request; small ones no
more tokens than a step needs to be efficient. Depth-continuous is litebert's DepthBatcher.

Requests arrive by a Poisson process at shares of what the better of large and small static batches
manages in a closed loop, and nothing waits for answers. With --model they are development rows of
its task, as they are and repeated or cut to one length; without it random words to an albert-base
of random weights, all of one length, and with --texts DATA also of the lengths of the texts of
DATA/glue. With --exits every load is run twice: answers after all layers, and as soon as exits.json
of the model (litebert exits) lets them go. JSON lines for every policy, load, lengths and exits:
latencies from the arrival that was due, answers a second and layers, beside static.
"""

import argparse
import random
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import litebert
from litebert.cli.labelled_rows import labelled_rows
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.exits import ExitRule, Exits, head_of_classes
from litebert.infer.policies import DepthContinuous, LengthSorted, Static
from litebert.infer.prepare import prepare
from litebert.infer.step_time import StepTime, measure_step_time
from litebert.interop.load import model_directory
from litebert.interop.task_models import FineTuned, load_task_model
from litebert.model.encoder import Model
from litebert.tasks.columns import Columns
from litebert.tasks.problems import Problems
from litebert.tasks.registry import task_of
from litebert.tasks.units import TokenSequence
from report import line
from whole_batches import WholeBatches

FIXED_LENGTH = 64
LOADS = (0.3, 0.6, 0.9)


POLICIES = ("static", "length-sorted", "static-small", "depth-continuous")
# What text-embeddings-inference and infinity take at once unless told otherwise.
SERVER_TOKENS, SERVER_REQUESTS = 16_384, 32


def server_of(
    policy: str, model: Model, step: StepTime, longest: int, leave: ExitRule | None
) -> DepthBatcher:
    """A fresh server of a policy."""
    if policy == "static":
        return WholeBatches(model, Static(SERVER_TOKENS), leave=leave)
    if policy == "length-sorted":
        return WholeBatches(model, LengthSorted(SERVER_REQUESTS * longest), leave=leave)
    # no more than a step needs to be efficient
    tokens = max(longest, step.knee(0.9))
    if policy == "static-small":
        return WholeBatches(model, Static(tokens), leave=leave)
    second = (step.fixed + step.by_token * tokens) / tokens
    # a second of waiting is worth the work that is done in it
    return DepthBatcher(model, DepthContinuous(tokens, ageing=1 / second), leave=leave)


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
    if arguments.exits and not arguments.model:
        parser.error("--exits is for a --model")
    draw, rules = random.Random(0), [None]
    if arguments.model:
        tuned = load_task_model(model_directory(arguments.model))
        streams = rows_of_task(arguments.model, tuned, draw, arguments.requests)
        model = tuned.model.encoder
        if arguments.exits:
            exits = Exits.read(model_directory(arguments.model))
            rules.append(ExitRule(exits, head_of_classes(tuned)))
    else:
        model = litebert.build(litebert.PRESETS["albert-base"])
        lengths = {"fixed": [FIXED_LENGTH] * arguments.requests}
        if arguments.texts:
            lengths["texts"] = lengths_of_texts(arguments.texts, draw, arguments.requests)
        streams = {
            name: [
                TokenSequence([2, *draw.choices(range(5, 1000), k=length - 2), 3], length)
                for length in found
            ]
            for name, found in lengths.items()
        }
    model = prepare(model, arguments.precision, source=arguments.model)
    step = measure_step_time(model)
    for name, asked in streams.items():
        longest = max(len(sequence.tokens) for sequence in asked)
        for rule in rules:
            seconds = []
            for policy in ("static", "static-small"):
                closed = server_of(policy, model, step, longest, rule)
                seconds.append(serve(closed, [0.0] * len(asked), asked, leave=rule is not None)[1])
            for load in LOADS:
                rate = load * len(asked) / min(seconds)
                compare(model, step, asked, rate, rule, f"{load:.0%} {name}", arguments.runs)


def compare(
    model: Model,
    step: StepTime,
    asked: Sequence[TokenSequence],
    rate: float,
    rule: ExitRule | None,
    case: str,
    count: int,
) -> None:
    """Run every policy on the same arrivals, `rate` a second, and print its lines."""
    longest = max(len(sequence.tokens) for sequence in asked)
    shape = f"H{model.config.hidden_size} L{model.config.depth}"
    found: dict[str, dict[str, list[float]]] = {}
    for run in range(count):
        due = np.cumsum(np.random.default_rng(run).exponential(1 / rate, len(asked))).tolist()
        for policy in POLICIES:
            batcher = server_of(policy, model, step, longest, rule)
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
            print(
                line(
                    "depth_batching",
                    case=f"{policy} {case}{' exits' if rule else ''}, {shape}",
                    unit=unit,
                    runs=runs,
                    peer="static",
                    peer_value=round(statistics.median(found["static"][unit]), 3),
                ),
                flush=True,
            )


def rows_of_task(
    run: str, tuned: FineTuned, draw: random.Random, count: int
) -> dict[str, list[TokenSequence]]:
    """Development rows of a run as they are, and again and again up to one length."""
    problems = Problems()
    (part, *_) = labelled_rows(run, tuned, None, problems).values()
    units = tuned.kind.units(part.examples, tuned.tokenizer, problems)
    rows = [unit.sequences[0] for unit in draw.choices(units, k=count)]
    fixed = []
    for row in rows:
        words = row.tokens[1:-1]
        words = (words * (FIXED_LENGTH // len(words) + 1))[: FIXED_LENGTH - 2]
        fixed.append(TokenSequence([row.tokens[0], *words, row.tokens[-1]], FIXED_LENGTH))
    return {"fixed": fixed, "texts": rows}


if __name__ == "__main__":
    main()
