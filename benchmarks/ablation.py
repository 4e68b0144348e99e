"""Recipes against each other at equal wall clock: held-out loss of every variant over seeds.

    python benchmarks/ablation.py VARIANTS.yaml --data SHARDS --valid SHARDS --minutes 7 --seeds 3

VARIANTS.yaml maps names to the fields in which a variant differs from --recipe; the first one is
the reference, and is compared with every other seed by seed. Runs go one after another, or
--parallel many at once with a core each, seeds outermost so that neighbours share the machine's
mood. Prints one JSON line a variant: `ours` is the median of nats below the unigram baseline.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

from cores import Cores
from report import line

ROOT = Path(__file__).resolve().parents[1]


def below_the_baseline(
    fields: dict, arguments: argparse.Namespace, *, seed: int, output: Path, cores: Cores
) -> float:
    """Train one variant and return its held-out loss below the baseline, nats."""
    fields = {"minutes": arguments.minutes, **fields, "seed": seed}
    fields |= {"data": arguments.data, "valid": arguments.valid}
    fields |= {"evaluations": 1, "evaluation_batches": 10}  # the last looks at ten times as many
    pairs = [f"{name}={json.dumps(value)}" for name, value in fields.items()]
    command = [sys.executable, "-m", "litebert", "pretrain", "--recipe", arguments.recipe, *pairs]
    command += ["--output", str(output), "--no-tensorboard", "--workers", "0", "--json"]
    found = json.loads(cores.run(command, stderr=subprocess.DEVNULL))["evaluation"]
    below = found["unigram_loss"] - found["mlm_loss"]
    print(f"{output.name}: {below:.3f} nats below", file=sys.stderr, flush=True)
    return below


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("variants", type=Path, metavar="VARIANTS.yaml")
    parser.add_argument("--data", required=True, metavar="SHARDS")
    parser.add_argument("--valid", required=True, metavar="SHARDS")
    parser.add_argument("--recipe", default=str(ROOT / "recipes/mini.yaml"))
    parser.add_argument("--minutes", type=float, default=7.0)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--parallel", type=int, default=1, help="runs at once, a core each")
    parser.add_argument("--output", type=Path, help="where the runs go; a temporary folder else")
    arguments = parser.parse_args()
    variants = yaml.safe_load(arguments.variants.read_text())
    place = arguments.output or Path(tempfile.mkdtemp())
    cores = Cores(arguments.parallel)
    runs = {
        (name, seed): cores.submit(
            below_the_baseline,
            fields or {},
            arguments,
            seed=seed,
            output=place / f"{name}-{seed}".replace(" ", "-"),
            cores=cores,
        )
        for seed in range(arguments.seeds)
        for name, fields in variants.items()
    }
    reference = next(iter(variants))
    for name in variants:
        values = [runs[name, seed].result() for seed in range(arguments.seeds)]
        gains = [value - runs[reference, seed].result() for seed, value in enumerate(values)]
        case = f"{name}, {Path(arguments.recipe).stem}, {arguments.minutes:g} minutes"
        found = json.loads(line("ablation", case=case, unit="nats below unigram", runs=values))
        gain = round(statistics.median(gains), 3)
        print(json.dumps(found | {"reference": reference, "gain": gain, "gains": gains}))


if __name__ == "__main__":
    main()
