"""What every cell of every study is asked, in the same words: the evaluation ladder.

Held-out masked-LM loss on fixed masks, sentence order and next sentence on pairs of held-out
documents, BLiMP, and fine-tuned tasks where their data is given. Percentages are in per cent.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch

from litebert.interop.load import model_directory
from litebert.model.encoder import Model
from litebert.runs.finetune_seeds import FinetuneSettings
from litebert.runs.finetuning import finetune
from litebert.study.cell import describe
from litebert.study.similarity import Similarity, similarity
from litebert.tasks.blimp import read_blimp, score_blimp
from litebert.tasks.columns import Columns
from litebert.tasks.problems import Problems
from litebert.tasks.pseudo_likelihood import pseudo_log_likelihoods
from litebert.tasks.registry import task_of
from litebert.tasks.selection import with_dev
from litebert.text.batch_settings import BatchSettings
from litebert.text.batches import Batches
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer, load_tokenizer
from litebert.train.evaluation import evaluate, held_out_batches
from litebert.train.finetune_recipe import FinetuneRecipe
from litebert.train.objective import to_device
from litebert.train.recipe_file import typed_fields

# Training pairs that a probe of a model without a sentence objective is fitted on.
PROBE_PAIRS = 4000
SENTENCE_OBJECTIVES = {"sop": "mlm+sop", "nsp": "mlm+nsp"}


@dataclass(frozen=True, kw_only=True)
class Ladder:
    """What is measured of every cell, and on what."""

    train: Path
    valid: Path
    """Prepared shards: probes are fitted on the first, everything is asked of the second."""
    max_length: int
    batches: int
    """Held-out batches of 4,096 tokens for each objective."""
    blimp: Path | None = None
    tasks: tuple[tuple[str, Path], ...] = ()
    """Names of tasks and the folders of their data."""
    task_recipe: FinetuneRecipe = FinetuneRecipe()  # noqa: RUF009  (frozen)

    @classmethod
    def read(cls, path: Path) -> "Ladder":
        """The ladder that `write` described."""
        values = json.loads(path.read_text("utf-8"))
        for name in ("train", "valid", "blimp"):
            values[name] = values[name] and Path(values[name])
        values["tasks"] = tuple((task, Path(data)) for task, data in values["tasks"])
        recipe = values.pop("task_recipe")
        if recipe is not None:
            fields = typed_fields(FinetuneRecipe, recipe, str(path))
            values["task_recipe"] = FinetuneRecipe(**fields)
        return cls(**values)

    def check(self) -> None:
        """Read what will be asked of every model; raises InputError for what cannot be read."""
        if self.blimp is not None:
            read_blimp(self.blimp)
        for task, data in self.tasks:
            with_dev(task_of(task).read(data, Problems(), Columns()))

    def write(self, path: Path) -> None:
        """Describe the ladder on disk; raises InputError when another one is described there."""
        values = asdict(self)
        if not self.tasks:
            # how tasks are trained tells no studies apart that ask none
            values["task_recipe"] = None
        describe(path, json.loads(json.dumps(values, default=str)))

    def climb(
        self, model: Model, run: Path, *, objective: str, device: torch.device
    ) -> dict[str, float]:
        """All figures of a run's model, by name, in per cent but for losses."""
        found = self._held_out(model, objective, device)
        if self.blimp is not None:
            found["blimp"] = _blimp(model, load_tokenizer(model_directory(run)), self.blimp)
        scores = {}
        for task, data in self.tasks:
            scores |= self._task(task, data, run, device)
        if scores:
            found |= scores | {"downstream": sum(scores.values()) / len(scores)}
        return found

    def similarity(self, model: Model) -> Similarity:
        """How far every layer of a model on the CPU moves its input, on a held-out batch."""
        batch = self._pairs(self.valid, "mlm+sop").batch(0)
        packed, _ = to_device(batch, torch.device("cpu"))
        return similarity(model, packed)

    def _held_out(self, model: Model, objective: str, device: torch.device) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, asked in SENTENCE_OBJECTIVES.items():
            # a sentence head that was never trained has nothing to say
            probed = objective == "mlm"
            if not probed or not found:
                batches = self._pairs(self.valid, asked)
                scores = evaluate(model, batches, limit=self.batches, device=device)
                found.setdefault("mlm_loss", scores.mlm_loss)
                found.setdefault("mlm_accuracy", 100 * scores.mlm_accuracy)
            accuracy = self._probed(model, asked, device) if probed else scores.sentence_accuracy
            assert accuracy is not None, "held-out documents have pairs: study_corpus saw to it"
            found[f"{name}_accuracy"] = 100 * accuracy
        return found

    def _pairs(self, shards: Path, objective: str) -> Batches:
        settings = BatchSettings(objective=objective, max_length=self.max_length)  # type: ignore[arg-type]
        return held_out_batches(Shards.open(shards), settings)

    def _probed(self, model: Model, objective: str, device: torch.device) -> float:
        """Accuracy of a logistic regression on [CLS] of the frozen encoder."""
        from sklearn.linear_model import LogisticRegression  # slow to import, and few cells need it

        learned = _first_tokens(model, self._pairs(self.train, objective), device)
        features, labels = _take(learned, PROBE_PAIRS)
        mean, deviation = features.mean(0), features.std(0) + 1e-6
        probe = LogisticRegression(max_iter=1000)
        probe.fit((features - mean) / deviation, labels)
        batches = self._pairs(self.valid, objective)
        asked, truth = _take(_first_tokens(model, batches, device, self.batches), None)
        return float(probe.score((asked - mean) / deviation, truth))

    def _task(self, task: str, data: Path, run: Path, device: torch.device) -> dict[str, float]:
        settings = FinetuneSettings(output=run.parent / "tasks" / task, seeds=1, device=str(device))
        result = finetune(
            task, model=str(run), data=data, recipe=self.task_recipe, settings=settings
        )
        scores = next(iter(result.scores.values()))
        metric, spread = next(iter(scores.items()))
        return {f"{task} {metric}": spread["median"]}


def _first_tokens(
    model: Model, batches: Batches, device: torch.device, limit: int | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hidden states of [CLS] of the sequences with a label, batch by batch, and the labels."""
    count = batches.num_batches if limit is None else min(limit, batches.num_batches)
    for index in range(count):
        batch = batches.batch(index * batches.num_batches // count)
        packed, _ = to_device(batch, device)
        with torch.inference_mode():
            first = model(packed, wanted=packed.offsets[:-1]).hidden
        asked = batch.sentence_labels >= 0
        yield first.float().cpu().numpy()[asked], batch.sentence_labels[asked]


def _take(
    found: Iterator[tuple[np.ndarray, np.ndarray]], count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` rows of batches, or all."""
    features, labels, rows = [], [], 0
    for first, label in found:
        features.append(first)
        labels.append(label)
        rows += len(label)
        if count is not None and rows >= count:
            break
    return np.concatenate(features)[:count], np.concatenate(labels)[:count]


def _blimp(model: Model, tokenizer: Tokenizer, path: Path) -> float:
    pairs = read_blimp(path)
    texts = [pair.good for pair in pairs] + [pair.bad for pair in pairs]
    scores = pseudo_log_likelihoods(model, tokenizer, texts)
    return score_blimp(pairs, scores[: len(pairs)], scores[len(pairs) :]).overall
