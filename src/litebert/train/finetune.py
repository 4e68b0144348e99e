"""Fine-tuning: units in, optimizer steps, the best moment by a held-out score out.

The steps of one seed are a function of the recipe, the data and the seed, so a run that was
stopped goes on from its last evaluation and ends as if it had not been.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import AdamW

from litebert.errors import InputError
from litebert.model.encoder import Model
from litebert.model.task_heads import SequenceHead, TaskModel
from litebert.tasks.kinds import TaskKind
from litebert.tasks.units import Unit, collate
from litebert.train.checkpoint import (
    Snapshot,
    checkpoint_directories,
    load_newest_checkpoint,
    take_snapshot,
    write_checkpoint,
)
from litebert.train.finetune_recipe import FinetuneRecipe
from litebert.train.optimizer import update
from litebert.train.schedule import rate_factor
from litebert.train.stopping import StopRequest

# Steps in a row that may fail before the run gives up.
MOST_NOT_FINITE = 10


@dataclass
class FinetuneProgress:
    """Where one seed stands; what a checkpoint stores beside the tensors."""

    step: int = 0
    examples: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    best_score: float = -math.inf
    best_step: int = 0


class FineTuning:
    """One seed of a recipe on one task; `run()` does all of it."""

    def __init__(
        self,
        recipe: FinetuneRecipe,
        model: TaskModel,
        kind: TaskKind,
        units: Sequence[Unit],
        *,
        seed: int,
        output: Path,
        evaluate: Callable[[], dict[str, float]],
        watch: Callable[[str, dict], None] = lambda event, values: None,
    ):
        """`evaluate` scores the model as it is; the first of its values chooses the moment."""
        if recipe.every_depth and not isinstance(model.head, SequenceHead):
            raise InputError(f"every_depth is for labels and options, and this is {kind.kind}")
        self.recipe, self.model, self.kind, self.units = recipe, model, kind, units
        self.seed, self.output, self.evaluate, self.watch = seed, output, evaluate, watch
        self.device = next(model.parameters()).device
        self.optimizer = build_adamw(model, recipe)
        self.progress = FinetuneProgress()
        self.epoch_steps = math.ceil(len(units) / recipe.batch_size)
        self.steps = recipe.steps or math.ceil(self.epoch_steps * recipe.epochs)
        self.parameters = [p for g in self.optimizer.param_groups for p in g["params"]]
        self.stop = StopRequest()
        self._order = -1, np.empty(0, np.int64)

    def run(self) -> int | None:
        """Train to the end and leave the weights of the best evaluation in the model.

        Returns the signal that stopped it, if one did; the last evaluation's state is saved then.
        Raises InputError when the loss is not finite again and again.
        """
        self._resume()
        progress, failed = self.progress, 0
        self.model.train()
        clock = time.perf_counter() - progress.seconds
        losses: list[float] = []
        with self.stop:
            while progress.step < self.steps:
                if self.stop:
                    return self.stop.signal
                units = self._batch(progress.step)
                loss = self._step(units)
                failed = 0 if math.isfinite(loss) else failed + 1
                if failed > MOST_NOT_FINITE:
                    raise InputError(
                        f"loss or gradient is not finite at step {progress.step}, again and "
                        f"again: start again with a lower lr"
                    )
                losses.append(loss)
                progress.step += 1
                progress.examples += len(units)
                progress.seconds = time.perf_counter() - clock
                due = progress.step * self.recipe.evaluations // self.steps
                if due > progress.evaluations:
                    progress.evaluations = due
                    self._evaluate(losses)
                    clock = time.perf_counter() - progress.seconds
                    losses = []
                else:
                    self.watch("step", self._where(loss))
        load_newest_checkpoint(self.output / "best", model=self.model, optimizers=[])
        return None

    def _batch(self, step: int) -> list[Unit]:
        """The units of a step: every epoch in an order of its own."""
        epoch, place = divmod(step, self.epoch_steps)
        if self._order[0] != epoch:
            draw = np.random.Generator(np.random.Philox(key=[self.seed, epoch]))
            self._order = epoch, draw.permutation(len(self.units))
        size = self.recipe.batch_size
        chosen = self._order[1][place * size : (place + 1) * size]
        return [self.units[number] for number in chosen]

    def _step(self, units: list[Unit]) -> float:
        torch.manual_seed((self.seed * 1_000_003 + self.progress.step) % 2**63)
        loss = self._loss(units) / len(units)
        loss.backward()
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = nn.utils.get_total_norm(gradients)
        found, size = torch.stack([loss.detach(), norm]).tolist()
        finite = math.isfinite(found) and math.isfinite(size)
        if finite:
            factor = rate_factor(self.progress.step / self.steps, self.recipe.warmup)
            clip = self.recipe.clip
            update([self.optimizer], self.parameters, norm=size, clip=clip, rate_factor=factor)
        self.optimizer.zero_grad(set_to_none=True)
        return found if finite else math.nan

    def _loss(self, units: list[Unit]) -> Tensor:
        packed = collate(units).to(self.device)
        if not self.recipe.every_depth:
            arguments = self.kind.arguments(units, learning=True)
            placed = [None if value is None else value.to(self.device) for value in arguments]
            return self.kind.loss(self.model(packed, *placed), units)
        # the mean over depths, each weighted by its number (PABEE, arXiv 2006.04152, section 3.3)
        scores = self.model.at_every_depth(packed)
        losses = [depth * self.kind.loss(each, units) for depth, each in enumerate(scores, 1)]
        return torch.stack(losses).sum() / sum(range(1, len(losses) + 1))

    def _evaluate(self, losses: list[float]) -> None:
        progress = self.progress
        scores = self.evaluate()
        score = next(iter(scores.values()))
        best = score > progress.best_score
        if best:
            progress.best_score, progress.best_step = score, progress.step
            state = {"step": progress.step, "score": score}
            weights = take_snapshot(self.model, [], state, copy=False)
            write_checkpoint(self.output / "best", weights, keep=1)
        finite = [loss for loss in losses if math.isfinite(loss)]
        mean = sum(finite) / len(finite) if finite else None
        self.watch("evaluation", {**self._where(mean), "scores": scores, "best": best})
        self._save()

    def _save(self) -> None:
        state = {**asdict(self.progress), "recipe": self.recipe.to_yaml(), "seed": self.seed}
        snapshot: Snapshot = take_snapshot(self.model, [self.optimizer], state, copy=False)
        write_checkpoint(self.output / "checkpoints", snapshot, keep=1)

    def _resume(self) -> None:
        if not checkpoint_directories(self.output / "checkpoints"):
            return
        state, warnings = load_newest_checkpoint(
            self.output / "checkpoints", model=self.model, optimizers=[self.optimizer]
        )
        for warning in warnings:
            self.watch("warning", {"message": warning})
        if (state.pop("recipe"), state.pop("seed")) != (self.recipe.to_yaml(), self.seed):
            raise InputError(f"{self.output}: was started otherwise: choose another --output")
        self.progress = FinetuneProgress(**state)
        self.watch("resume", self._where(None))

    def _where(self, loss: float | None) -> dict:
        progress = self.progress
        return {
            "seed": self.seed,
            "step": progress.step,
            "steps": self.steps,
            "seconds": progress.seconds,
            "examples_per_second": progress.examples / max(progress.seconds, 1e-9),
            "loss": loss,
        }


def build_adamw(model: TaskModel, recipe: FinetuneRecipe) -> AdamW:
    """AdamW over encoder and head, without the heads of pretraining.

    With `layer_decay` below 1 a weight learns slower the further its last use is from the top: a
    shared block, whose last use is the top, at the full rate, and embeddings slowest.
    """
    encoder = model.encoder
    for unused in (encoder.mlm_head, encoder.sentence_head):
        unused.requires_grad_(False)
    groups: dict[tuple[int, bool], list] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            key = (_distance_from_top(name, encoder), parameter.ndim > 1)
            groups.setdefault(key, []).append(parameter)
    listed = [
        {
            "params": members,
            "weight_decay": recipe.weight_decay if decayed else 0.0,
            "peak_lr": recipe.lr * recipe.layer_decay**distance,
        }
        for (distance, decayed), members in groups.items()
    ]
    return AdamW(listed, lr=recipe.lr, betas=recipe.betas, eps=1e-6, fused=True)


def _distance_from_top(name: str, encoder: Model) -> int:
    """Applications of blocks above the last use of a parameter."""
    steps = encoder.plan.steps
    if name.startswith("encoder.embeddings."):
        return len(steps)
    for prefix, place in (("encoder.attentions.", 0), ("encoder.feed_forwards.", 1)):
        if name.startswith(prefix):
            number = int(name.removeprefix(prefix).split(".")[0])
            return len(steps) - 1 - max(n for n, step in enumerate(steps) if step[place] == number)
    return 0
