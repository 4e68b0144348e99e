"""Tiny pretraining runs for the tests of several folders: a corpus, a recipe, processes to kill.

A run has dropout, so that random numbers which are not restored show in the weights.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from litebert import Tokenizer, load_tokenizer
from litebert.text.prepare import prepare
from litebert.train.events import read_events
from litebert.train.recipe import PretrainRecipe

WORDS = [f"w{number}" for number in range(60)]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS]
SHAPE = {
    "hidden_size": 32,
    "heads": 2,
    "depth": 2,
    "inner_size": 64,
    "embedding_size": 16,
    "hidden_dropout": 0.1,
    "attention_dropout": 0.1,
}


def documents(count: int, *, seed: int) -> list[list[list[str]]]:
    """Documents of one to eight one-sentence paragraphs; the words of a sentence follow another."""
    draw = random.Random(seed)
    made = []
    for _ in range(count):
        paragraphs = []
        for _ in range(draw.choice([1, 4, 8])):
            start, stride = draw.randrange(60), draw.choice([1, 2, 7])
            length = draw.randint(4, 14)
            paragraphs.append([" ".join(WORDS[(start + stride * k) % 60] for k in range(length))])
        made.append(paragraphs)
    return made


def tiny_tokenizer(place: Path) -> Tokenizer:
    """The tokenizer of 60 made-up words."""
    (place / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    return load_tokenizer(place / "vocab.txt")


def make_corpus(place: Path) -> Path:
    """Shards train/ (several) and valid/ of one tokenizer, and shape.json."""
    tokenizer = tiny_tokenizer(place)
    train = place / "train"
    prepare(documents(200, seed=1), tokenizer=tokenizer, output=train, shard_bytes=4096)
    prepare(documents(60, seed=2), tokenizer=tokenizer, output=place / "valid")
    (place / "shape.json").write_text(json.dumps(SHAPE))
    return place


def tiny_fields(place: Path, **changes: Any) -> dict[str, Any]:
    """Fields of a recipe on a corpus of `make_corpus`; each can be changed."""
    fields = {
        "data": place / "train",
        "valid": place / "valid",
        "model": str(place / "shape.json"),
        "batch_tokens": 256,
        "max_length": 32,
        "precision": "fp32",
        "evaluations": 0,
        "evaluation_batches": 1,
    }
    return {**fields, **changes}


def tiny_recipe(place: Path, **changes: Any) -> PretrainRecipe:
    """The recipe of `tiny_fields`."""
    return PretrainRecipe(**tiny_fields(place, **changes))


def arguments(fields: dict[str, Any], output: Path, *flags: object) -> list[str]:
    """`litebert ...` for a run that logs every step and saves after every step."""
    pairs = [f"{name}={value}" for name, value in fields.items()]
    often = ["--log-every", "0", "--checkpoint-minutes", "0", "--no-tensorboard"]
    return ["pretrain", *pairs, "--output", str(output), *often, *map(str, flags)]


def start(argv: list[str], log: Path) -> subprocess.Popen:
    """Start `litebert ...` as a process on one thread; what it prints goes to a file.

    A file and not a pipe: the workers of a killed run would keep a pipe open for seconds.
    """
    with log.open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "litebert", *argv],
            stdout=file,
            stderr=file,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )


def wait_until(process: subprocess.Popen, reached: Callable[[], bool], log: Path) -> None:
    """Return as soon as `reached()`; fails when the process ends before."""
    while not reached():
        assert process.poll() is None, f"ended too early:\n{log.read_text()}"
        time.sleep(0.001)


def last_step(output: Path) -> int:
    """The newest step that a run, alive or dead, has logged."""
    try:
        lines = (output / "events.jsonl").read_bytes().splitlines()[-3:]
    except FileNotFoundError:
        return 0
    steps = [0]
    for line in lines:
        with contextlib.suppress(ValueError):  # a line still being written
            steps.append(json.loads(line).get("step", 0))
    return max(steps)


def kill(process: subprocess.Popen) -> None:
    """SIGKILL, and see that it was this that ended the process."""
    process.kill()
    assert process.wait() == -signal.SIGKILL


def kill_inside_checkpoint(process: subprocess.Popen, output: Path, log: Path) -> None:
    """SIGKILL while a checkpoint is being written: its temporary directory is left behind."""

    def writing() -> bool:
        if not any(output.glob("checkpoints/.step-*.tmp")):
            return False
        # a stopped process cannot finish the write between the look and the kill
        process.send_signal(signal.SIGSTOP)
        if any(output.glob("checkpoints/.step-*.tmp")):
            return True
        process.send_signal(signal.SIGCONT)
        return False

    wait_until(process, writing, log)
    kill(process)
    assert any(output.glob("checkpoints/.step-*.tmp"))


def steps_and_losses(output: Path) -> list[tuple[int, float]]:
    """Step and loss of every logged step and evaluation, in order."""
    events = read_events(output / "events.jsonl")
    return [(e["step"], e["mlm_loss"]) for e in events if e["event"] in ("step", "evaluation")]


def weights(output: Path) -> bytes:
    """The file of the final model."""
    return (output / "model/model.safetensors").read_bytes()
