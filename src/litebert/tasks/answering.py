"""A fine-tuned model's answers to many units: packed by length, given back in order."""

from collections.abc import Callable, Sequence

import torch

from litebert.model.task_heads import TaskModel
from litebert.tasks.kinds import TaskKind
from litebert.tasks.units import Unit, collate

# Tokens of a batch: enough to fill the cores, few enough to fit beside a training run.
BATCH_TOKENS = 8192


@torch.inference_mode()
def answer(
    model: TaskModel,
    kind: TaskKind,
    units: Sequence[Unit],
    *,
    device: torch.device | None = None,
    on_batch: Callable[[int], None] = lambda units: None,
) -> list:
    """What the model says of each unit, as `kind.answers` gives it, in the order of `units`.

    Units of like length go together, so that little of a batch is waiting. `on_batch` is called
    with the number of units that were answered.
    """
    was_training = model.training
    model.eval()
    device = device or next(model.parameters()).device
    answers: list = [None] * len(units)
    order = sorted(range(len(units)), key=lambda number: -units[number].length)
    batch: list[int] = []
    tokens = 0
    for place, number in enumerate(order):
        batch.append(number)
        tokens += units[number].length
        following = order[place + 1 : place + 2]
        if not following or tokens + units[following[0]].length > BATCH_TOKENS:
            for member, found in zip(
                batch, _answer_batch(model, kind, [units[n] for n in batch], device), strict=True
            ):
                answers[member] = found
            on_batch(len(batch))
            batch, tokens = [], 0
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
