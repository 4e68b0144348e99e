"""Time to answer one text by its length: albert-base against bert-base, warm and cold.

    python benchmarks/latency.py [--precisions int8 bf16] [--tokens 8 32 128] > latency.jsonl
    python benchmarks/answers.py latency

Both run in the same engine, random weights and one block's work in each of twelve layers; ALBERT
reads one set of weights twelve times, BERT twelve sets. They take turns; a cold call comes after a
walk over more memory than the caches hold. JSON lines in ms, `ratio` is ALBERT's time to BERT's.
"""

import argparse

import numpy as np
import torch

import litebert
from inference import COLD_BYTES, timed
from litebert.infer.prepare import prepare
from litebert.model.encoder import Model
from report import line

TOKENS = (1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 256, 512)


def milliseconds(
    models: dict[str, Model], tokens: int, *, rounds: int, cold: bool, walk: np.ndarray
) -> dict[str, list[float]]:
    """Times of both models on one text, taken in turn; those of the first round are dropped."""
    packed = litebert.pack([list(range(5, 5 + tokens))])
    found: dict[str, list[float]] = {name: [] for name in models}
    names = list(models)
    for number in range(rounds + 1):
        for name in names if number % 2 else reversed(names):
            taken = timed(lambda name=name: models[name](packed), cold=cold, walk=walk)
            if number:
                found[name].append(1000 * taken)
    return found


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--precisions", nargs="+", default=["fp32", "bf16", "int8"])
    parser.add_argument("--tokens", nargs="+", type=int, default=TOKENS)
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    walk = np.zeros(COLD_BYTES // 4, np.float32)
    for precision in arguments.precisions:
        models = {
            name: prepare(litebert.build(litebert.PRESETS[name], seed=0), precision)
            for name in ("albert-base", "bert-base")
        }
        for tokens in arguments.tokens:
            for cold in (False, True):
                found = milliseconds(models, tokens, rounds=arguments.rounds, cold=cold, walk=walk)
                print(
                    line(
                        "latency",
                        case=f"{precision} 1x{tokens} {'cold' if cold else 'warm'}",
                        unit="ms",
                        runs=found["albert-base"],
                        peer="bert-base",
                        peer_value=round(float(np.median(found["bert-base"])), 3),
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
