"""What pretraining buys downstream: a model against the same architecture from random weights.

    python benchmarks/finetune_gain.py MODEL [lr=1e-3] --data DATA --seeds 5 [--tasks mrpc rte]

DATA holds glue/ and squad/. Both sides are fine-tuned by one recipe (FIELD=VALUE changes it), each
as a run of `litebert finetune` on a core of its own (--parallel 2). Prints one JSON line a task:
`ours` is the median over seeds of the task's first metric, `peer_value` that from random weights,
with all values and quartiles of both.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

from cores import Cores
from litebert import build, load, save
from litebert.interop.load import tokenizer_of
from report import line, spread

TASKS = {
    "sst-2": "glue",
    "mrpc": "glue",
    "qnli": "glue",
    "mnli": "glue",
    "sts-b": "glue",
    "rte": "glue",
    "cola": "glue",
    "squad-1.1": "squad",
}


def fine_tuned(
    task: str, model: str, arguments: argparse.Namespace, *, output: Path, cores: Cores
) -> tuple[str, list[float]]:
    """The first metric of a task and its value for every seed."""
    command = [sys.executable, "-m", "litebert", "finetune", task, "--model", model]
    command += ["--data", str(arguments.data / TASKS[task]), "--output", str(output)]
    command += ["--seeds", str(arguments.seeds), "--json", *arguments.fields]
    split = next(iter(json.loads(cores.run(command))["scores"].values()))
    metric, found = next(iter(split.items()))
    print(f"{output.name}: {metric} {found['median']:.2f}", file=sys.stderr, flush=True)
    return metric, found["values"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("model", metavar="MODEL")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--tasks", nargs="+", choices=list(TASKS), default=list(TASKS))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--parallel", type=int, default=1, help="runs at once, a core each")
    parser.add_argument("--output", type=Path, help="where the runs go; a temporary folder else")
    parser.add_argument("fields", nargs="*", metavar="FIELD=VALUE")
    arguments = parser.parse_args()
    place = arguments.output or Path(tempfile.mkdtemp())
    fresh = place / "random-weights"
    if not fresh.exists():
        shape = load(arguments.model).config
        save(build(shape, seed=0), tokenizer_of(arguments.model), fresh)
    cores = Cores(arguments.parallel)
    sides = {"pretrained": arguments.model, "random": str(fresh)}
    runs = {
        (task, side): cores.submit(
            fine_tuned, task, model, arguments, output=place / f"{task}-{side}", cores=cores
        )
        for task in arguments.tasks
        for side, model in sides.items()
    }
    for task in arguments.tasks:
        metric, ours = runs[task, "pretrained"].result()
        _, peer = runs[task, "random"].result()
        found = line(
            "finetune_gain",
            case=f"{task} {metric}, {arguments.seeds} seeds, {' '.join(arguments.fields)}",
            unit="per cent",
            runs=ours,
            peer="the same architecture from random weights",
            peer_value=round(statistics.median(peer), 2),
        )
        more = {"peer_runs": [round(value, 3) for value in peer], "peer_spread": spread(peer)}
        print(json.dumps(json.loads(found) | more), flush=True)


if __name__ == "__main__":
    main()
