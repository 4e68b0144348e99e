"""Held-out loss after so many minutes of wall clock: ours beside transformers with AdamW.

    python benchmarks/loss_at_time.py --data SHARDS --valid SHARDS --minutes 30 [--peer-minutes 60]

Ours is `litebert pretrain --recipe recipes/mini.yaml`; the peer `AlbertForPreTraining` of the same
shape as its documentation leads one to write it: AdamW at 1e-3, 32 rows of 128 tokens, warm-up and
linear decay over the wall clock, bf16 autocast, logits at all positions. Both read the same shards,
one after the other on the whole machine, set-up included. transformers scores both saved models.
Prints one JSON line; `ours` and `peer_value` are nats per masked token, smaller is better.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import torch

from heldout_loss import transformers_loss
from litebert import PRESETS, load_tokenizer
from litebert.text.batch_settings import BatchSettings
from litebert.text.batches import Batches
from litebert.text.pretrain_batch import PretrainBatch
from litebert.text.shards import Shards
from litebert.train.evaluation import held_out_batches
from peer import peer_inputs, peer_model
from report import line

ROOT = Path(__file__).resolve().parents[1]
RATE, WARMUP, CLIP, ROWS, LENGTH = 1e-3, 0.04, 1.0, 32, 128
# Imports, shards and the last save: what ours needs besides its training.
SET_UP_SECONDS = 20


def train_ours(arguments: argparse.Namespace, output: Path) -> None:
    """Pretrain by the recipe of the repository, without evaluations."""
    minutes = arguments.minutes - SET_UP_SECONDS / 60
    fields = [f"data={arguments.data}", f"minutes={minutes}", "evaluations=0"]
    command = [sys.executable, "-m", "litebert", "pretrain", "--recipe", arguments.recipe]
    flags = ["--output", str(output), "--no-tensorboard"]
    # standard output is for the one line of JSON
    subprocess.run([*command, *fields, *flags, *arguments.fields], check=True, stdout=sys.stderr)


def train_peer(arguments: argparse.Namespace, output: Path, *, began: float) -> None:
    """The loop that a user of transformers writes."""
    shards = Shards.open(arguments.data)
    tokenizer = load_tokenizer(shards.tokenizer_path)
    settings = BatchSettings(
        batch_tokens=ROWS * LENGTH, max_length=LENGTH, short_sequence_probability=0.0
    )
    batches = Batches(shards, word_starts=tokenizer.word_starts(), settings=settings)
    model = peer_model(replace(PRESETS["albert-mini"], vocab_size=shards.vocab_size))
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.01)
    budget, step = 60 * arguments.peer_minutes, 0
    while (progress := (time.perf_counter() - began) / budget) < 1:
        factor = min(progress / WARMUP, 1 - progress)
        for group in optimizer.param_groups:
            group["lr"] = RATE * factor
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(**rows(batches.batch(step), pad=tokenizer.special["pad"])).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        optimizer.zero_grad()
        step += 1
        if step % 50 == 1:
            print(f"peer: {progress:.0%} step {step} loss {loss.item():.3f}", file=sys.stderr)
    model.save_pretrained(output)


def rows(batch: PretrainBatch, *, pad: int) -> dict[str, torch.Tensor]:
    """A packed batch as padded rows of LENGTH tokens, labels at every position."""
    return peer_inputs(
        tokens=torch.from_numpy(batch.tokens),
        segments=torch.from_numpy(batch.segments),
        lengths=(batch.offsets[1:] - batch.offsets[:-1]).tolist(),
        asked=torch.from_numpy(batch.predicted_positions),
        answers=torch.from_numpy(batch.predicted_tokens),
        sentences=torch.from_numpy(batch.sentence_labels),
        pad=pad,
        width=LENGTH,
    )


def main() -> None:
    began = time.perf_counter()
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--data", required=True, metavar="SHARDS", help="training shards")
    parser.add_argument("--valid", required=True, metavar="SHARDS", help="held-out shards")
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--peer-minutes", type=float, help="as --minutes when left out")
    parser.add_argument("--recipe", default=str(ROOT / "recipes/mini.yaml"))
    parser.add_argument("--batches", type=int, default=100, help="held-out batches of 4,096 tokens")
    parser.add_argument("--output", type=Path, help="where the models go; a temporary folder else")
    parser.add_argument("--only-peer", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("fields", nargs="*", metavar="FIELD=VALUE", help="changes of the recipe")
    arguments = parser.parse_args()
    arguments.peer_minutes = arguments.peer_minutes or arguments.minutes
    if arguments.only_peer:
        return train_peer(arguments, arguments.only_peer, began=began)
    place = arguments.output or Path(tempfile.mkdtemp())
    started = time.perf_counter()
    train_ours(arguments, place / "ours")
    seconds = time.perf_counter() - started
    again = [sys.executable, __file__, *sys.argv[1:], "--only-peer", str(place / "peer")]
    started = time.perf_counter()
    subprocess.run(again, check=True)
    peer_seconds = time.perf_counter() - started
    batches = held_out_batches(Shards.open(arguments.valid), BatchSettings(max_length=LENGTH))
    count = min(arguments.batches, batches.num_batches)
    asked = [batches.batch(index * batches.num_batches // count) for index in range(count)]
    found = line(
        "loss_at_time",
        case=f"{Path(arguments.recipe).stem}, {arguments.minutes:g} minutes against "
        f"{arguments.peer_minutes:g}, {torch.get_num_threads()} threads",
        unit="nats per masked token",
        runs=[transformers_loss(str(place / "ours/model"), asked)],
        peer=f"transformers {version('transformers')} AlbertForPreTraining, AdamW",
        peer_value=round(transformers_loss(str(place / "peer"), asked), 3),
    )
    measured = {"seconds": round(seconds), "peer_seconds": round(peer_seconds)}
    values = json.loads(found)
    # smaller is better, so the ratio is the peer's over ours
    values["ratio"] = round(values["peer_value"] / values["ours"], 3)
    print(json.dumps(values | measured))


if __name__ == "__main__":
    main()
