"""What int8 costs fine-tuned models: the metrics of their tasks before and after, over seeds.

    python benchmarks/int8.py RUN [RUN ...] > int8.jsonl
    python benchmarks/answers.py int8

Each RUN is a run of `litebert finetune` with one seed or several; `litebert quantize` scores them
on its development rows. A JSON line for each metric: `ours` is the median change over seeds in
points, with the values of both arithmetics and the error of the last hidden states.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path

from litebert.interop.task_models import load_task_model
from report import line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN")
    for run in parser.parse_args().runs:
        seeds = sorted(str(place) for place in run.glob("seed-*")) or [str(run)]
        command = [sys.executable, "-m", "litebert", "quantize", "--json", *seeds]
        called = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        models = json.loads(called.stdout)["models"]
        task = load_task_model(seeds[0]).task
        for split, metrics in models[0]["scores"].items():
            for metric in metrics["fp32"]:
                both = {
                    how: [round(model["scores"][split][how][metric], 3) for model in models]
                    for how in ("fp32", "int8")
                }
                measured = line(
                    "int8",
                    case=f"{task} {split} {metric}",
                    unit="points",
                    runs=[low - high for high, low in zip(both["fp32"], both["int8"], strict=True)],
                )
                how = "smoothed" if models[0]["smoothed"] else "plain"
                more = both | {"errors": [round(m["errors"][how][-1], 5) for m in models]}
                print(json.dumps(json.loads(measured) | more), flush=True)


if __name__ == "__main__":
    main()
