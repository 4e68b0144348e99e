"""Long documents: attention in windows against full attention, by tokens.

    python benchmarks/windows.py [--tokens 512 2048 4096] [--radius 128]

albert-base of random weights with repeated positions, one document at a time. Windows every layer
but each third, and every layer, in turn with full attention. JSON lines in ms; `ratio` is the time
with windows to that of full attention.
"""

import argparse
import statistics
import time

import torch

import litebert
from litebert.infer.prepare import Precision, prepare
from litebert.model.encoder import Model
from litebert.model.windows import Windows
from report import line


def model_of(positions: int, precision: Precision, windows: Windows | None) -> Model:
    """albert-base that reads so many tokens."""
    model = litebert.build(litebert.PRESETS["albert-base"], seed=0)
    model.extend_positions(positions)
    model.windows = windows
    return prepare(model, precision)


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--tokens", nargs="+", type=int, default=(512, 1024, 2048, 4096))
    parser.add_argument("--radius", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--precision", default="fp32", choices=("fp32", "bf16", "int8"))
    arguments = parser.parse_args()
    longest = max(arguments.tokens)
    models = {
        "full": model_of(longest, arguments.precision, None),
        "every third full": model_of(longest, arguments.precision, Windows(arguments.radius)),
        "none full": model_of(longest, arguments.precision, Windows(arguments.radius, 0)),
    }
    for tokens in arguments.tokens:
        packed = litebert.pack([[5 + number % 20_000 for number in range(tokens)]])
        found: dict[str, list[float]] = {name: [] for name in models}
        for number in range(arguments.rounds + 1):
            for name, model in models.items():
                start = time.perf_counter()
                model(packed)
                if number:
                    found[name].append(1000 * (time.perf_counter() - start))
        medians = {name: round(statistics.median(taken), 2) for name, taken in found.items()}
        for name in ("every third full", "none full"):
            print(
                line(
                    "windows",
                    case=f"{arguments.precision} 1x{tokens}, radius {arguments.radius}, {name}",
                    unit="ms",
                    runs=found[name],
                    peer="full",
                    peer_value=medians["full"],
                ),
                flush=True,
            )


if __name__ == "__main__":
    main()
