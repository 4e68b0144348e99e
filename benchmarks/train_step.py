"""Tokens per second of a whole training step, ours beside transformers' AlbertForPreTraining.

    python benchmarks/train_step.py --peer transformers [--cases "mini 32x128 V8000" ...] [--runs 7]
    python benchmarks/train_step.py --peer transformers --cases "base documents" --data SHARDS
    python benchmarks/train_step.py --peer transformers --device cuda

A step is forward, backward, clipping to 1.0 and AdamW, 15 % of the tokens predicted, dropout 0, in
bf16: the peer under autocast with logits at all positions and -100 where nothing is asked, as its
documentation leads one to write it. "mini 32x128 V8000" is 32 random sequences of 128 tokens;
"documents" are 64 paragraphs of a prepared corpus, cut at 512, ours packed and the peer's padded to
the longest; on a CPU the peer takes them in passes of 8,192 tokens, padding included, since its
logits of all together do not fit in 24 GiB. Only real tokens count. Steps alternate in one process,
whose C library hands freed memory back as is its default; measured alone, or with --keep-memory for
both sides, it is kept, as in our runs. That speeds up the peer more than us.
Prints one JSON line a case (benchmarks/report.py); `ours` and `peer_value` are medians, and
`utilisation` is our arithmetic a second over that of the fastest matrix product of the process.
"""

import argparse
import json
import re
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from litebert import PRESETS, ModelConfig, build
from litebert.hardware import product_ceiling
from litebert.text.pretrain_batch import PretrainBatch
from litebert.text.shards import Shards
from litebert.train.distributed import Ranks
from litebert.train.objective import Targets
from litebert.train.optimizer import build_optimizers
from litebert.train.recipe import PretrainRecipe
from litebert.train.start import keep_freed_memory
from litebert.train.step import TrainingStep
from litebert.train.utilisation import Utilisation
from peer import peer_inputs, peer_model
from report import line, spread

CASES = ("mini 32x128 V30000", "mini 32x128 V8000", "base 8x128 V30000")
GPU_CASES = ("base 512x128 V30000", "large 128x512 V30000")
MASK_RATE, RATE, CLIP = 0.15, 1e-3, 1.0
DOCUMENTS, LONGEST, PEER_TOKENS = 64, 512, 8192


class Batch:
    """Sequences that both sides get, 15 % of their tokens asked."""

    def __init__(self, tokens: torch.Tensor, lengths: tuple[int, ...], vocab_size: int) -> None:
        """`tokens` (T,) are those of all sequences, end to end."""
        generator = torch.Generator().manual_seed(0)
        self.tokens, self.lengths, self.vocab_size = tokens, lengths, vocab_size
        predictions = round(MASK_RATE * len(tokens))
        self.targets = Targets(
            positions=torch.randperm(len(tokens), generator=generator)[:predictions].sort().values,
            tokens=torch.randint(5, vocab_size, (predictions,), generator=generator),
            sentences=torch.randint(0, 2, (len(lengths),), generator=generator),
        )

    def ours(self) -> PretrainBatch:
        """The batch as our training step takes it."""
        return PretrainBatch(
            tokens=self.tokens.numpy(),
            positions=np.concatenate([np.arange(length) for length in self.lengths]),
            segments=np.zeros(len(self.tokens), np.int64),
            offsets=np.cumsum([0, *self.lengths]),
            predicted_positions=self.targets.positions.numpy(),
            predicted_tokens=self.targets.tokens.numpy(),
            sentence_labels=self.targets.sentences.numpy(),
        )

    def padded(self, device: torch.device) -> dict[str, torch.Tensor]:
        """The batch as transformers takes it."""
        found = peer_inputs(
            tokens=self.tokens,
            segments=torch.zeros_like(self.tokens),
            lengths=self.lengths,
            asked=self.targets.positions,
            answers=self.targets.tokens,
            sentences=self.targets.sentences,
            pad=0,
            width=max(self.lengths),
        )
        return {name: values.to(device) for name, values in found.items()}


def random_batch(rows: int, length: int, vocab_size: int) -> Batch:
    """Sequences of equal length and random tokens."""
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(5, vocab_size, (rows * length,), generator=generator)
    return Batch(tokens, (length,) * rows, vocab_size)


def paragraphs_batch(path: Path) -> Batch:
    """DOCUMENTS paragraphs of a prepared corpus, drawn evenly, each with [CLS] and [SEP]."""
    shards = Shards.open(path)
    shard = shards.shards[0]
    borders = shard.segments[shard.paragraphs]
    first, last = shards.special["cls"], shards.special["sep"]
    sequences = []
    for number in np.linspace(0, len(borders) - 2, DOCUMENTS).astype(int):
        tokens = shard.tokens[borders[number] : borders[number + 1]][: LONGEST - 2]
        sequences.append(torch.tensor([first, *tokens.tolist(), last]))
    return Batch(torch.cat(sequences), tuple(map(len, sequences)), shards.vocab_size)


def our_step(config: ModelConfig, batch: Batch, device: torch.device) -> Callable[[], float]:
    """A function that does one step of ours and returns its loss."""
    recipe = PretrainRecipe(data=Path("unused"), steps=1, optimizer="adamw", lr=RATE, clip=CLIP)
    model = build(config).to(device).train()
    model.compute_dtype = torch.bfloat16
    training = TrainingStep(model, build_optimizers(model, recipe), recipe, Ranks())

    def step() -> float:
        found = training.take([(0, batch.ours())], rate_factor=1.0)
        return found.mlm / found.predictions + found.sentence / found.sentences

    return step


def peer_step(config: ModelConfig, batch: Batch, device: torch.device) -> Callable[[], float]:
    """A function that does one step of transformers and returns its loss."""
    model = peer_model(config).to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)

    count = len(batch.lengths)
    at_once = max(1, PEER_TOKENS // max(batch.lengths)) if device.type == "cpu" else count

    def step() -> float:
        rows, total = batch.padded(device), 0.0
        for first in range(0, count, at_once):
            part = {name: values[first : first + at_once] for name, values in rows.items()}
            with torch.autocast(device.type, dtype=torch.bfloat16):
                loss = model(**part).loss * (len(part["input_ids"]) / count)
            loss.backward()
            total += loss.item()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        return total

    return step


def batch_of(case: str, data: Path | None) -> tuple[ModelConfig, Batch]:
    """Model and batch that a case names."""
    shape = re.fullmatch(r"(\w+) (?:(documents)|(\d+)x(\d+) V(\d+))", case)
    if shape is None or f"albert-{shape[1]}" not in PRESETS:
        sys.exit(f"case {case!r} is neither like {CASES[0]!r} nor like 'base documents'")
    if shape[2]:
        if data is None:
            sys.exit(f"case {case!r} needs --data SHARDS (litebert prepare)")
        batch = paragraphs_batch(data)
    else:
        batch = random_batch(*(int(shape[group]) for group in (3, 4, 5)))
    return replace(PRESETS[f"albert-{shape[1]}"], vocab_size=batch.vocab_size), batch


def measure(
    case: str, *, data: Path | None, peer: bool, runs: int, device: torch.device, freed_memory: str
) -> str:
    """One case as a line of JSON."""
    config, batch = batch_of(case, data)
    ceiling = product_ceiling(device, torch.bfloat16)
    sides = (our_step, peer_step) if peer else (our_step,)
    steps = [side(config, batch, device) for side in sides]
    losses_at_start = [step() for step in steps]
    # Fresh weights of both sides: the losses agree unless the two do not do the same work.
    assert max(losses_at_start) - min(losses_at_start) < 0.2, losses_at_start
    rates: list[list[float]] = [[] for _ in steps]
    for _ in range(runs):
        for side, step in zip(rates, steps, strict=True):
            start = time.perf_counter()
            step()
            side.append(len(batch.tokens) / (time.perf_counter() - start))
    ours = statistics.median(rates[0])
    where = f"{torch.get_num_threads()} threads"
    if device.type == "cuda":
        where = torch.cuda.get_device_name(device)
    used = Utilisation(
        config, lengths=np.array(batch.lengths), mask_rate=MASK_RATE, ceiling=ceiling
    )
    more: dict[str, object] = {
        "freed_memory": freed_memory,
        "ceiling_gflops": round(ceiling / 1e9),
        "copy_gb_per_second": round(copy_rate(device) / 1e9, 1),
        "gflop_per_token": round(used.flops_per_token(config.depth) / 1e9, 4),
        "utilisation": round(used.at(ours, depth=config.depth), 3),
    }
    if peer:
        more["peer_spread"] = spread(rates[1])
    found = line(
        "train_step",
        case=f"{case}, bf16, {where}",
        unit="tokens/s",
        runs=rates[0],
        peer=f"transformers {version('transformers')}" if peer else None,
        peer_value=round(statistics.median(rates[1]), 3) if peer else None,
    )
    return json.dumps(json.loads(found) | more)


def copy_rate(device: torch.device) -> float:
    """Bytes read and written a second by a copy that no cache holds."""
    source, target = (torch.ones(1 << 26, device=device) for _ in range(2))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        target.copy_(source)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        seconds.append(time.perf_counter() - start)
    return 2 * 4 * len(source) / min(seconds)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--peer", choices=["transformers"], help="also measure this library")
    parser.add_argument("--cases", nargs="+", metavar="CASE", help=f"like {CASES[0]!r}")
    parser.add_argument("--keep-memory", action="store_true", help="freed memory kept, both sides")
    parser.add_argument("--data", type=Path, metavar="SHARDS", help="paragraphs for 'documents'")
    parser.add_argument("--device", default="cpu", help="cpu, or cuda for the cases of a GPU")
    parser.add_argument("--runs", type=int, default=7, help="steps of each side that are timed")
    arguments = parser.parse_args()
    freed_memory = "handed back"
    if not arguments.peer or arguments.keep_memory:
        freed_memory = "kept"
        keep_freed_memory()  # as a run of ours has it; it is one setting of the process for both
    device, peer = torch.device(arguments.device), arguments.peer is not None
    for case in arguments.cases or (CASES if device.type == "cpu" else GPU_CASES):
        found = measure(
            case,
            data=arguments.data,
            peer=peer,
            runs=arguments.runs,
            device=device,
            freed_memory=freed_memory,
        )
        print(found, flush=True)


if __name__ == "__main__":
    main()
