"""Answers as soon as a model is sure, by what `litebert exits` calibrated."""

from collections.abc import Sequence
from pathlib import Path

import torch

from litebert.errors import InputError
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.exits import ExitRule, Exits, head_of_classes
from litebert.infer.policies import Static
from litebert.infer.prepare import arithmetic_of
from litebert.interop.task_models import FineTuned
from litebert.tasks.answering import BATCH_TOKENS
from litebert.tasks.units import Unit


class EarlyAnswers:
    """Answers units of a prepared model early."""

    def __init__(self, tuned: FineTuned, directory: str | Path):
        """By what lies in the directory that `tuned` was loaded from.

        Raises InputError where nothing does, for a model that gives no class, and for one of other
        weights or in another arithmetic than was calibrated.
        """
        self._tuned, self._head = tuned, head_of_classes(tuned)
        exits = Exits.read(directory)
        exits.check_weights(directory)
        self._rule = ExitRule(exits, self._head)
        precision = arithmetic_of(tuned.model.encoder)
        if exits.precision != precision:
            raise InputError(
                f"early answers were calibrated in {exits.precision} and this engine computes "
                f"in {precision}: load it with precision={exits.precision!r}, or calibrate again"
            )

    @torch.inference_mode()
    def __call__(self, units: Sequence[Unit]) -> tuple[list, list[int]]:
        """What the model says of each unit, and after how many layers."""
        if not units:
            return [], []
        encoder, kind = self._tuned.model.encoder, self._tuned.kind
        batcher = DepthBatcher(encoder, Static(BATCH_TOKENS), leave=self._rule)
        found: dict[int, tuple[int, torch.Tensor]] = {}
        longest_first = sorted(range(len(units)), key=lambda number: -units[number].length)
        numbers = {
            batcher.submit(units[place].sequences[0], may_leave=True): place
            for place in longest_first
        }
        while len(batcher):
            for answer in batcher.step():
                # a copy: all other rows go
                found[numbers[answer.number]] = answer.layers, answer.hidden[0].clone()
        ended = [found[place] for place in range(len(units))]
        firsts = torch.stack([first for _, first in ended])
        answers = kind.answers(self._head.scores(encoder.pooler(firsts)), units)
        return answers, [count for count, _ in ended]
