"""Multiple choice: one sequence an option, the softmax over an example's options.

Google's run_race.py: the option takes the place of every "_" of the question, or follows it; the
two keep their last 128 tokens, the passage its first ones.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from litebert.config import ModelConfig
from litebert.model.task_heads import IMPOSSIBLE, SequenceHead
from litebert.tasks.example import ChoiceExample, Kind
from litebert.tasks.metrics import compute
from litebert.tasks.problems import Problems
from litebert.tasks.race import LEVELS, level_of
from litebert.tasks.units import Unit, mean_answers, sequence_of
from litebert.text.tokenizer import Tokenizer

QUESTION_TOKENS = 128


class Choices:
    """Questions about a passage with options to choose from; their number may differ."""

    kind: Kind = "choice"
    labels: tuple[str, ...] = ()
    metrics = ("accuracy",)

    def __init__(self, max_length: int):
        self.max_length = max_length

    def settings(self) -> dict[str, Any]:
        """What makes it again."""
        return {"max_length": self.max_length}

    def head(self, config: ModelConfig, dropout: float) -> nn.Module:
        """One score an option."""
        return SequenceHead(config, 1, dropout)

    def units(
        self, examples: Sequence[ChoiceExample], tokenizer: Tokenizer, problems: Problems
    ) -> list[Unit]:
        """One unit an example, with a sequence for every option."""
        passages = tokenizer.encode_batch([example.passage for example in examples])
        asked = [
            question_with(example.question, option)
            for example in examples
            for option in example.options
        ]
        ends = iter(tokenizer.encode_batch(asked))
        question_room = min(QUESTION_TOKENS, self.max_length // 2)
        made = []
        for number, (example, passage) in enumerate(zip(examples, passages, strict=True)):
            questions = [next(ends)[-question_room:] for _ in example.options]
            rooms = [self.max_length - 3 - len(question) for question in questions]
            if len(passage) > min(rooms):
                problems.report(example.place, "a passage longer than the model reads",
                                done=f"cut to {self.max_length} tokens")  # fmt: skip
            sequences = tuple(
                sequence_of(tokenizer, passage[:room], question)
                for room, question in zip(rooms, questions, strict=True)
            )
            made.append(Unit(number, sequences, example.label))
        return made

    def arguments(self, units: Sequence[Unit], *, learning: bool) -> tuple:
        """The head needs nothing but the encoder's output."""
        return ()

    def loss(self, scores: Tensor, units: Sequence[Unit]) -> Tensor:
        """Sum over units of the cross-entropy among their own options."""
        targets = torch.tensor([unit.target for unit in units], device=scores.device)
        return F.cross_entropy(_by_unit(scores, units), targets, reduction="sum")

    def answers(self, scores: Tensor, units: Sequence[Unit]) -> list:
        """Probabilities of each unit's options."""
        shares = _by_unit(scores, units).softmax(-1).tolist()
        return [row[: len(unit.sequences)] for row, unit in zip(shares, units, strict=True)]

    def combine(self, several: Sequence[list]) -> list:
        """Answers of several models to the same units as one: the mean of their numbers."""
        return mean_answers(several)

    def predictions(self, answers: Sequence[Sequence[float]], units: Sequence[Unit]) -> list:
        """Number of the likeliest option of every example."""
        return [max(range(len(row)), key=row.__getitem__) for row in answers]

    def score(self, predictions: Sequence, examples: Sequence[ChoiceExample]) -> dict[str, float]:
        """Accuracy in per cent, also by level where examples have one."""
        labels = [example.label for example in examples]
        found = compute(self.metrics, predictions, labels)
        for level in LEVELS:
            of_level = [n for n, example in enumerate(examples) if level_of(example) == level]
            if of_level:
                parts = [predictions[n] for n in of_level], [labels[n] for n in of_level]
                found[f"accuracy_{level}"] = compute(self.metrics, *parts)["accuracy"]
        return found


def question_with(question: str, option: str) -> str:
    """The question with an option in its blanks, or behind it."""
    return question.replace("_", option) if "_" in question else f"{question} {option}"


def _by_unit(scores: Tensor, units: Sequence[Unit]) -> Tensor:
    counts = [len(unit.sequences) for unit in units]
    parts = scores.squeeze(-1).split(counts)
    return pad_sequence(list(parts), batch_first=True, padding_value=IMPOSSIBLE)
