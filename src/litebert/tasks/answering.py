"""A fine-tuned model's answers to many units: packed by length, given back in order."""

from collections.abc import Callable, Sequence

import torch

from litebert.model.task_heads import TaskModel
from litebert.tasks.kinds import TaskKind
from litebert.tasks.units import Unit, batches_by_length, collate

# Tokens of a batch: enough to fill the cores, few enough to fit beside a training run.
BATCH_TOKENS = 8192

Watch = Callable[[float], None]
"""Is told after every batch which share of the units is answered, in (0, 1]."""


@torch.inference_mode()
def answer(
    model: TaskModel,
    kind: TaskKind,
    units: Sequence[Unit],
    *,
    depth: int | None = None,
    watch: Watch = lambda share: None,
) -> list:
    """What the model says of each unit, as `kind.answers` gives it, in the order of `units`.

    `depth` runs another number of layers than the model's.
    """
    was_training = model.training
    model.eval()
    device = next(model.parameters()).device
    answers: list = [None] * len(units)
    done = 0
    for batch in batches_by_length([unit.length for unit in units], limit=BATCH_TOKENS):
        found = _answer_batch(model, kind, [units[number] for number in batch], device, depth)
        for number, one in zip(batch, found, strict=True):
            answers[number] = one
        done += len(batch)
        watch(done / len(units))
    model.train(was_training)
    return answers


def answer_together(
    models: Sequence[TaskModel],
    kind: TaskKind,
    units: Sequence[Unit],
    *,
    depth: int | None = None,
    watch: Watch = lambda share: None,
) -> list:
    """What several models say of each unit as one answer; of one model, what it says."""
    several = [
        answer(
            model,
            kind,
            units,
            depth=depth,
            watch=lambda share, number=number: watch((number + share) / len(models)),
        )
        for number, model in enumerate(models)
    ]
    return several[0] if len(models) == 1 else kind.combine(several)


def _answer_batch(
    model: TaskModel,
    kind: TaskKind,
    units: list[Unit],
    device: torch.device,
    depth: int | None,
) -> list:
    arguments = kind.arguments(units, learning=False)
    placed = [None if value is None else value.to(device) for value in arguments]
    return kind.answers(model(collate(units).to(device), *placed, depth=depth), units)
