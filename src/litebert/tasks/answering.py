"""A fine-tuned model's answers to many units: packed by length, given back in order."""

from collections.abc import Sequence

import torch

from litebert.model.task_heads import TaskModel
from litebert.tasks.kinds import TaskKind
from litebert.tasks.units import Unit, batches_by_length, collate

# Tokens of a batch: enough to fill the cores, few enough to fit beside a training run.
BATCH_TOKENS = 8192


@torch.inference_mode()
def answer(model: TaskModel, kind: TaskKind, units: Sequence[Unit]) -> list:
    """What the model says of each unit, as `kind.answers` gives it, in the order of `units`."""
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    answers: list = [None] * len(units)
    for batch in batches_by_length([unit.length for unit in units], limit=BATCH_TOKENS):
        found = _answer_batch(model, kind, [units[number] for number in batch], device)
        for number, one in zip(batch, found, strict=True):
            answers[number] = one
    model.train(was_training)
    return answers


def answer_together(models: Sequence[TaskModel], kind: TaskKind, units: Sequence[Unit]) -> list:
    """What several models say of each unit as one answer; of one model, what it says."""
    if len(models) == 1:
        return answer(models[0], kind, units)
    return kind.combine([answer(model, kind, units) for model in models])


def _answer_batch(
    model: TaskModel, kind: TaskKind, units: list[Unit], device: torch.device
) -> list:
    arguments = kind.arguments(units, learning=False)
    placed = [None if value is None else value.to(device) for value in arguments]
    return kind.answers(model(collate(units).to(device), *placed), units)
