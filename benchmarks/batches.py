"""How many finished tokens a second one process makes into pretraining batches.

    python benchmarks/batches.py SHARDS

SHARDS is a corpus made by `litebert prepare`. Prints one JSON line a case (benchmarks/report.py).
"""

import sys
import time

from litebert.text.batches import Batches, BatchSettings, stream
from litebert.text.shards import Shards
from litebert.text.tokenizer import load_tokenizer
from report import line

BATCHES, RUNS = 200, 5


def rate(batches: Batches, *, first: int, workers: int) -> float:
    """Tokens per second of BATCHES batches, the start of workers not counted."""
    source = stream(batches, range(first, first + BATCHES + 1), workers=workers)
    next(source)
    start = time.perf_counter()
    made = sum(len(batch.tokens) for batch in source)
    return made / (time.perf_counter() - start)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/batches.py SHARDS")
    shards = Shards.open(sys.argv[1])
    word_starts = load_tokenizer(shards.tokenizer_path).word_starts()
    for objective in ("mlm+sop", "mlm+nsp", "mlm"):
        for max_length in (128, 512):
            settings = BatchSettings(objective=objective, max_length=max_length)
            batches = Batches(shards, word_starts=word_starts, settings=settings)
            for workers in (0, 1) if objective == "mlm+sop" else (0,):
                rates = [rate(batches, first=run * BATCHES, workers=workers) for run in range(RUNS)]
                case = f"{objective}, T=4096, max_length={max_length}, workers={workers}"
                print(line("batches", case=case, unit="tokens/s", runs=rates), flush=True)


if __name__ == "__main__":
    main()
