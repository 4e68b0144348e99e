"""Texts and pairs of texts with a class, a score or several classes: sequences, loss, answers.

Google's run_classifier.py: a pair that is too long loses tokens at the end of its longer text, and
the label is predicted from the pooled [CLS].
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.model.task_heads import SequenceHead
from litebert.tasks.example import Kind, TextExample
from litebert.tasks.metrics import compute
from litebert.tasks.problems import Problems
from litebert.tasks.units import Unit, mean_answers, sequence_of
from litebert.text.tokenizer import Tokenizer


class Texts:
    """Single texts and pairs; `kind` is classification, regression or multilabel."""

    def __init__(
        self,
        kind: Kind,
        labels: Sequence[str],
        metrics: Sequence[str],
        max_length: int,
        *,
        pairs: bool | None = None,
    ):
        """`pairs` says whether the model learned from pairs; None where nobody knows."""
        self.kind: Kind = kind
        self.labels, self.metrics = tuple(labels), tuple(metrics)
        self.max_length, self.pairs = max_length, pairs

    def settings(self) -> dict[str, Any]:
        """What makes it again, besides kind and labels."""
        own = {"max_length": self.max_length, "metrics": list(self.metrics)}
        return own if self.pairs is None else own | {"pairs": self.pairs}

    def head(self, config: ModelConfig, dropout: float) -> nn.Module:
        """Scores from the pooled [CLS]; one of them for a regression."""
        outputs = 1 if self.kind == "regression" else len(self.labels)
        return SequenceHead(config, outputs, dropout)

    def units(
        self, examples: Sequence[TextExample], tokenizer: Tokenizer, problems: Problems
    ) -> list[Unit]:
        """One sequence an example.

        Raises InputError for a single text where the model learned from pairs, and for a pair
        where it did not.
        """
        for example in examples:
            if self.pairs not in (None, example.second is not None):
                raise InputError(f"{example.place}: {_OTHER_THAN_PAIRS[self.pairs]}")
        firsts = tokenizer.encode_batch([example.first for example in examples])
        seconds = iter(tokenizer.encode_batch([e.second for e in examples if e.second is not None]))
        made = []
        for number, (example, first) in enumerate(zip(examples, firsts, strict=True)):
            second = None if example.second is None else next(seconds)
            room = self.max_length - (2 if second is None else 3)
            if len(first) + len(second or ()) > room:
                problems.report(example.place, "more text than the model reads",
                                done=f"cut to {self.max_length} tokens")  # fmt: skip
                first, second = cut_pair(first, second, room)
            made.append(Unit(number, (sequence_of(tokenizer, first, second),), example.label))
        return made

    def arguments(self, units: Sequence[Unit], *, learning: bool) -> tuple:
        """The head needs nothing but the encoder's output."""
        return ()

    def loss(self, scores: Tensor, units: Sequence[Unit]) -> Tensor:
        """Sum over units: cross-entropy, squared error on raw scores, or binary cross-entropy."""
        targets = [unit.target for unit in units]
        if self.kind == "regression":
            wanted = torch.tensor(targets, dtype=torch.float32, device=scores.device)
            return F.mse_loss(scores.squeeze(-1), wanted, reduction="sum")
        if self.kind == "multilabel":
            wanted = torch.zeros_like(scores)
            for row, classes in enumerate(targets):
                wanted[row, list(classes)] = 1.0
            # the mean over classes, so that their number does not change the step
            return F.binary_cross_entropy_with_logits(scores, wanted, reduction="sum") / len(
                self.labels
            )
        return F.cross_entropy(scores, torch.tensor(targets, device=scores.device), reduction="sum")

    def answers(self, scores: Tensor, units: Sequence[Unit]) -> list:
        """One list a unit: probabilities of the classes, or the score of a regression."""
        if self.kind == "regression":
            return scores.tolist()
        if self.kind == "multilabel":
            return scores.sigmoid().tolist()
        return scores.softmax(-1).tolist()

    def combine(self, several: Sequence[list]) -> list:
        """Answers of several models to the same units as one: the mean of their numbers."""
        return mean_answers(several)

    def predictions(self, answers: Sequence[Sequence[float]], units: Sequence[Unit]) -> list:
        """A class, a score, or the classes that are likelier than not, of every example."""
        if self.kind == "regression":
            return [row[0] for row in answers]
        if self.kind == "multilabel":
            return [tuple(n for n, share in enumerate(row) if share > 0.5) for row in answers]
        return [max(range(len(row)), key=row.__getitem__) for row in answers]

    def score(self, predictions: Sequence, examples: Sequence[TextExample]) -> dict[str, float]:
        """The metrics in per cent; the first of them chooses checkpoints."""
        return compute(self.metrics, predictions, [example.label for example in examples])


_OTHER_THAN_PAIRS = {
    True: "one text, and the model reads pairs: put the other in a column `second`, or name it, "
    "--columns second=COLUMN",
    False: "a pair, and the model reads single texts: leave the second out",
}


def cut_pair(
    first: list[int], second: list[int] | None, room: int
) -> tuple[list[int], list[int] | None]:
    """Cut the end of the longer text, of the second when both are equal, until they fit."""
    if second is None:
        return first[:room], None
    # popping one by one ends where the longer is down to the shorter, then both shrink in turn
    excess = len(first) + len(second) - room
    longer_by = abs(len(first) - len(second))
    both = max(0, excess - longer_by)
    cut = min(excess, longer_by)
    from_first = (cut if len(first) > len(second) else 0) + both // 2
    from_second = (cut if len(second) > len(first) else 0) + both - both // 2
    return first[: len(first) - from_first], second[: len(second) - from_second]
