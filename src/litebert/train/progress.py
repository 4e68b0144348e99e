"""Where a run stands, and the sums between two lines of its log."""

import math
import time
from dataclasses import dataclass, field

from litebert.train.recipe import PretrainRecipe
from litebert.train.step import StepResult


@dataclass
class Progress:
    """Where a run stands; what a checkpoint stores beside the tensors."""

    step: int = 0
    """Optimizer steps taken."""
    drawn: int = 0
    """Steps' worth of batches taken from the stream: `step` and those that were passed over."""
    tokens: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    precision: str = ""
    """Arithmetic chosen at the start, so that a resumed run does not choose another one."""

    def share(self, recipe: PretrainRecipe) -> float:
        """Share of the budget that is used up."""
        used = {"minutes": self.seconds / 60, "steps": self.step, "tokens": self.tokens}
        return used[recipe.budget] / getattr(recipe, recipe.budget)


@dataclass
class Running:
    """Sums since the last line of the log."""

    results: list[StepResult] = field(default_factory=list)
    tokens: int = 0
    since: float = field(default_factory=time.perf_counter)

    def add(self, result: StepResult, *, tokens: int) -> None:
        """Count one step."""
        self.results.append(result)
        self.tokens += tokens

    def means(self) -> dict[str, float]:
        """Means per prediction, per labelled sequence and per step."""
        results = self.results
        predictions = sum(result.predictions for result in results)
        values = {
            "mlm_loss": math.fsum(result.mlm for result in results) / predictions,
            "mlm_accuracy": sum(result.mlm_right for result in results) / predictions,
            "gradient_norm": sum(result.gradient_norm for result in results) / len(results),
            "tokens_per_second": self.tokens / (time.perf_counter() - self.since),
        }
        if sentences := sum(result.sentences for result in results):
            values["sentence_loss"] = sum(result.sentence for result in results) / sentences
            values["sentence_accuracy"] = (
                sum(result.sentence_right for result in results) / sentences
            )
        return values
