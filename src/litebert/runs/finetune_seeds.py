"""The seeds of a fine-tuning run, one after another: train, answer, score, save."""

import json
import shutil
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.hardware import choose_device, choose_dtype
from litebert.interop.task_models import load_encoder, save_task_model
from litebert.model.task_heads import TaskModel, initialise
from litebert.runs.task_card import task_card
from litebert.runs.task_predictions import write_predictions
from litebert.tasks.answering import answer
from litebert.tasks.example import Dataset
from litebert.tasks.glue import GLUE, submission
from litebert.tasks.kinds import TaskKind
from litebert.tasks.problems import Problems
from litebert.tasks.spans import Spans
from litebert.tasks.units import Unit
from litebert.text.tokenizer import Tokenizer
from litebert.train.checkpoint import newest_step
from litebert.train.events import EventLog
from litebert.train.finetune import FineTuning
from litebert.train.finetune_recipe import FinetuneRecipe

Watch = Callable[[str, dict], None]


@dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """Where a run goes and what of it changes no seed's outcome."""

    output: Path
    """Run directory."""
    seeds: int = 1
    """Runs from different heads and orders; the result is their median and quartiles."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    strict: bool = False
    """Stop at the first row that cannot be used as it stands, instead of counting such."""

    def __post_init__(self) -> None:
        if self.seeds < 1:
            raise InputError(f"seeds={self.seeds} must be at least 1")


@dataclass(frozen=True)
class Scored:
    """Rows with their token ids, to be answered and scored again and again."""

    data: Dataset
    units: list[Unit]

    def predictions(self, model: TaskModel, kind: TaskKind) -> list:
        """The model's prediction of every example."""
        return self.answered(model, kind)[1]

    def answered(self, model: TaskModel, kind: TaskKind) -> tuple[list, list]:
        """The answers of all units, and the predictions that follow for the examples."""
        answers = answer(model, kind, self.units)
        return answers, kind.predictions(answers, self.units)


class Seeds:
    """The seeds of one run, one after another."""

    def __init__(
        self,
        task: str,
        kind: TaskKind,
        recipe: FinetuneRecipe,
        settings: FinetuneSettings,
        tokenizer: Tokenizer,
        source: str,
        watch: Watch,
    ):
        self.task, self.kind, self.recipe, self.settings = task, kind, recipe, settings
        self.tokenizer, self.source, self.watch = tokenizer, source, watch
        self.device = choose_device(settings.device)
        self.dtype = choose_dtype(recipe.precision, self.device)
        self.results: list[dict[str, Any]] = []

    def seed(
        self,
        seed: int,
        learned: Sequence[Unit],
        chosen: Scored,
        scored: dict[str, Scored],
        tests: dict[Path, Dataset],
    ) -> int | None:
        """Do one seed, or read what it ended with; returns the signal that stopped it, if any."""
        place = self.settings.output / f"seed-{seed}"
        if (place / "result.json").is_file():
            self.results.append(json.loads((place / "result.json").read_text()))
            return None
        place.mkdir(parents=True, exist_ok=True)
        model = self._fresh(seed)
        log = EventLog(place, resume_step=newest_step(place / "checkpoints"))

        def watch(event: str, values: dict) -> None:
            if event != "step":
                log.write(event, **values)
            self.watch(event, values)

        def evaluate() -> dict[str, float]:
            found = chosen.predictions(model, self.kind)
            if isinstance(self.kind, Spans):
                self.kind.choose_threshold(found, chosen.data.examples)
            return self.kind.score(found, chosen.data.examples)

        training = FineTuning(self.recipe, model, self.kind, learned, seed=seed, output=place,
                              evaluate=evaluate, watch=watch)  # fmt: skip
        if (stop_signal := training.run()) is not None:
            return stop_signal
        evaluate()  # the threshold of the weights that are kept
        scores = {}
        for name, part in scored.items():
            found = part.predictions(model, self.kind)
            scores[name] = self.kind.score(found, part.data.examples)
            write_predictions(place / "predictions", name, self.kind, found, part.data.examples)
        for path, data in tests.items():
            self._submit(path, data, model, place)
        progress = training.progress
        result = {
            "seed": seed,
            "scores": scores,
            "selection": progress.best_score,
            "best_step": progress.best_step,
            "steps": training.steps,
            "seconds": progress.seconds,
            "examples_per_second": progress.examples / max(progress.seconds, 1e-9),
        }
        card = task_card(self.task, self.kind, self.source, self.recipe, result)
        places = [place / "model"]
        if all(progress.best_score > other["selection"] for other in self.results):
            places.append(self.settings.output / "model")
        for directory in places:
            save_task_model(model, self.kind, self.tokenizer, directory, task=self.task, card=card)
        write_atomically(place / "result.json", as_json(result))
        watch("seed", result)
        log.close()
        for spent in ("checkpoints", "best"):
            shutil.rmtree(place / spent, ignore_errors=True)
        self.results.append(result)
        return None

    def _fresh(self, seed: int) -> TaskModel:
        encoder, _ = load_encoder(self.source)
        head = self.kind.head(encoder.config, self.recipe.head_dropout)
        initialise(head, deviation=encoder.config.initializer_range, seed=seed)
        encoder.compute_dtype = self.dtype
        if self.recipe.dropout is not None:
            for module in encoder.modules():
                for name in ("hidden_dropout", "attention_dropout"):
                    if hasattr(module, name):
                        setattr(module, name, self.recipe.dropout)
        return TaskModel(encoder, head).to(self.device)

    def _submit(self, path: Path, data: Dataset, model: TaskModel, place: Path) -> None:
        units = self.kind.units(data.examples, self.tokenizer, Problems())
        found = Scored(data, units).predictions(model, self.kind)
        if self.task in GLUE:
            name, text = submission(path, GLUE[self.task], found)
            write_atomically(place / "submissions" / name, text.encode())
        else:
            write_predictions(place / "submissions", path.stem, self.kind, found, data.examples)

    def summary(self) -> dict[str, dict[str, dict[str, float]]]:
        """Median and quartiles over the seeds that are done."""
        table: dict[str, dict[str, dict[str, float]]] = {}
        for split in self.results[0]["scores"] if self.results else ():
            for metric in self.results[0]["scores"][split]:
                values = [result["scores"][split][metric] for result in self.results]
                table.setdefault(split, {})[metric] = spread(values)
        return table


def spread(values: Sequence[float]) -> dict[str, Any]:
    """Median, quartiles and all values."""
    low, high = values[0], values[0]
    if len(values) > 1:
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": statistics.median(values), "low": low, "high": high, "values": list(values)}
