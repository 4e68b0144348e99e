"""Examples per second of fine-tuning on MRPC, ours beside transformers' Trainer.

    python benchmarks/finetune.py --peer transformers --data GLUE --tokenizer 30k-clean.model

Both start from the same weights of a shape and learn the same rows in batches of 32 for the same
epochs, AdamW at the same rate with linear decay, in bf16 (the peer under its own autocast) and
dropout 0, ours packed, the peer's batches padded to their longest row. One run of each in turn,
start-up not counted, with the C library's memory kept on both sides, as our runs have it. Prints
one JSON line a case; `accuracy` and `peer_accuracy` are those of the development rows.
"""

import argparse
import json
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import torch

from litebert import PRESETS, build, load_tokenizer, save
from litebert.model.task_heads import TaskModel, initialise
from litebert.tasks.answering import answer
from litebert.tasks.example import Dataset
from litebert.tasks.glue import GLUE, read_glue
from litebert.tasks.kinds import TaskKind, kind_of
from litebert.tasks.problems import Problems
from litebert.tasks.units import Unit
from litebert.train.finetune import FineTuning
from litebert.train.finetune_recipe import FinetuneRecipe
from litebert.train.start import keep_freed_memory
from report import line

CASES = {"mini": "albert-mini", "base": "albert-base"}
BATCH, MAX_LENGTH = 32, 128


@dataclass(frozen=True)
class Work:
    """What both sides do: the weights they begin with, the rows, and how they learn them."""

    source: str
    kind: TaskKind
    learned: list[Unit]
    asked: list[Unit]
    dev: Dataset
    epochs: float
    rate: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--peer", choices=["transformers"])
    parser.add_argument("--data", type=Path, required=True, help="GLUE's folder")
    parser.add_argument("--tokenizer", required=True, help="directory, .model or vocab.txt")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES))
    parser.add_argument("--model", help="weights to begin with; fresh ones of the shape else")
    parser.add_argument("--rows", type=int, default=1024, help="training rows")
    parser.add_argument("--epochs", type=float, default=1.0)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory()
    for name in arguments.cases:
        print(measure(name, arguments), flush=True)


def measure(name: str, arguments: argparse.Namespace) -> str:
    """One case: runs of both sides in turn."""
    place = Path(tempfile.mkdtemp())
    tokenizer = load_tokenizer(arguments.tokenizer)
    if arguments.model is None:
        shape = replace(PRESETS[CASES[name]], vocab_size=tokenizer.vocab_size)
        save(build(shape, seed=0), tokenizer, place / "model")
    source = arguments.model or str(place / "model")
    train, dev = (
        read_glue(arguments.data / f"MRPC/{split}.tsv", GLUE["mrpc"], Problems(), labelled=True)
        for split in ("train", "dev")
    )
    train = replace(train, examples=train.examples[: arguments.rows])
    settings = {"max_length": MAX_LENGTH, "metrics": ["accuracy"]}
    kind = kind_of("classification", labels=train.labels, settings=settings)
    learned = kind.units(train.examples, tokenizer, Problems())
    asked = kind.units(dev.examples, tokenizer, Problems())
    work = Work(source, kind, learned, asked, dev, epochs=arguments.epochs, rate=arguments.lr)
    ours, peers, scores, peer_scores = [], [], [], []
    for seed in range(arguments.runs):
        rate, score = our_run(work, seed=seed)
        ours.append(rate)
        scores.append(score)
        if arguments.peer:
            rate, score = peer_run(work, seed=seed)
            peers.append(rate)
            peer_scores.append(score)
    found = line(
        "finetune",
        case=f"{name} MRPC {len(learned)} rows, batches of {BATCH}, "
        f"{torch.get_num_threads()} threads",
        unit="examples/s",
        runs=ours,
        peer=f"transformers {version('transformers')} Trainer" if peers else None,
        peer_value=round(statistics.median(peers), 2) if peers else None,
    )
    values = json.loads(found) | {"accuracy": scores, "peer_accuracy": peer_scores}
    return json.dumps(values)


def our_run(work: Work, *, seed: int) -> tuple[float, float]:
    """Examples per second, and the accuracy that the run ends with."""
    from litebert.interop.task_models import load_encoder

    encoder, _ = load_encoder(work.source)
    encoder.compute_dtype = torch.bfloat16
    head = work.kind.head(encoder.config, 0.0)
    initialise(head, deviation=0.02, seed=seed)
    model = TaskModel(encoder, head)
    recipe = FinetuneRecipe(
        epochs=work.epochs, batch_size=BATCH, lr=work.rate, evaluations=1, head_dropout=0.0
    )
    training = FineTuning(
        recipe,
        model,
        work.kind,
        work.learned,
        seed=seed,
        output=Path(tempfile.mkdtemp()),
        evaluate=lambda: {"none": 0.0},
    )
    began = time.perf_counter()
    training.run()
    seconds = training.progress.seconds
    assert seconds <= time.perf_counter() - began
    found = work.kind.predictions(answer(model, work.kind, work.asked), work.asked)
    accuracy = work.kind.score(found, work.dev.examples)["accuracy"]
    return len(work.learned) * work.epochs / seconds, accuracy


def peer_run(work: Work, *, seed: int) -> tuple[float, float]:
    """The same for transformers' Trainer with dynamic padding."""
    from transformers import (
        AlbertForSequenceClassification,
        Trainer,
        TrainerCallback,
        TrainingArguments,
    )

    class Clock(TrainerCallback):
        """From the first step to the last, as ours is timed."""

        began = ended = 0.0

        def on_train_begin(self, *arguments: object, **named: object) -> None:
            self.began = time.perf_counter()

        def on_train_end(self, *arguments: object, **named: object) -> None:
            self.ended = time.perf_counter()

    model = AlbertForSequenceClassification.from_pretrained(
        work.source, num_labels=2, classifier_dropout_prob=0.0
    )

    def rows(units: list[Unit]) -> list[dict]:
        return [
            {
                "input_ids": sequence.tokens,
                "token_type_ids": [int(n >= sequence.first) for n in range(len(sequence.tokens))],
                "labels": unit.target,
            }
            for unit in units
            for sequence in unit.sequences
        ]

    def padded(batch: list[dict]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in batch)

        def fill(name: str) -> torch.Tensor:
            return torch.tensor([row[name] + [0] * (longest - len(row[name])) for row in batch])

        lengths = torch.tensor([len(row["input_ids"]) for row in batch])
        return {
            "input_ids": fill("input_ids"),
            "token_type_ids": fill("token_type_ids"),
            "attention_mask": (torch.arange(longest) < lengths[:, None]).long(),
            "labels": torch.tensor([row["labels"] for row in batch]),
        }

    settings = TrainingArguments(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=BATCH,
        per_device_eval_batch_size=BATCH,
        num_train_epochs=work.epochs,
        learning_rate=work.rate,
        warmup_steps=0.1,
        weight_decay=0.01,
        adam_epsilon=1e-6,
        bf16=True,
        use_cpu=not torch.cuda.is_available(),
        seed=seed,
        report_to=[],
        save_strategy="no",
        logging_strategy="no",
        disable_tqdm=True,
    )
    clock = Clock()
    trainer = Trainer(
        model, settings, data_collator=padded, train_dataset=rows(work.learned), callbacks=[clock]
    )
    trainer.train()
    seconds = clock.ended - clock.began
    logits = torch.as_tensor(trainer.predict(rows(work.asked)).predictions)
    right = [example.label for example in work.dev.examples]
    accuracy = 100 * float((logits.argmax(-1) == torch.tensor(right)).float().mean())
    return len(work.learned) * work.epochs / seconds, accuracy


if __name__ == "__main__":
    main()
