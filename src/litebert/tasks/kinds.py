"""The kinds of tasks behind one interface: from examples to token ids, loss, answers and scores."""

import re
from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor, nn

from litebert.config import ModelConfig
from litebert.tasks.choices import Choices
from litebert.tasks.example import Kind
from litebert.tasks.problems import Problems
from litebert.tasks.spans import Spans
from litebert.tasks.tags import Tags
from litebert.tasks.texts import Texts
from litebert.tasks.units import Unit
from litebert.text.tokenizer import Tokenizer


class TaskKind(Protocol):
    """What a model is asked, learns from and is scored by."""

    @property
    def kind(self) -> Kind:
        """Its name."""
        ...

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of classes or tags; none for scores, spans and options."""
        ...

    def head(self, config: ModelConfig, dropout: float) -> nn.Module:
        """A head without weights worth anything yet."""
        ...

    def units(
        self, examples: Sequence[Any], tokenizer: Tokenizer, problems: Problems
    ) -> list[Unit]:
        """Token ids of examples; what is cut goes to `problems`."""
        ...

    def arguments(self, units: Sequence[Unit], *, learning: bool) -> tuple:
        """What the head is given besides the encoder's output."""
        ...

    def loss(self, scores: Any, units: Sequence[Unit]) -> Tensor:
        """Sum over units."""
        ...

    def answers(self, scores: Any, units: Sequence[Unit]) -> list:
        """What the scores say of each unit, on the host."""
        ...

    def combine(self, several: Sequence[list]) -> list:
        """What several models answered to the same units as one answer to each."""
        ...

    def predictions(self, answers: Sequence[Any], units: Sequence[Unit]) -> list:
        """What the answers of its units say of each example."""
        ...

    def score(self, predictions: Sequence[Any], examples: Sequence[Any]) -> dict[str, float]:
        """Metrics in per cent; the first of them chooses checkpoints."""
        ...

    def settings(self) -> dict[str, Any]:
        """What `kind_of` needs to make it again, besides kind and labels."""
        ...


_DEFAULT_METRICS: dict[Kind, tuple[str, ...]] = {
    "classification": ("accuracy", "macro_f1"),
    "regression": ("pearson", "spearman"),
    "multilabel": ("micro_f1",),
}
_SPAN_TAG = re.compile(r"O|[BIESLU]-.+")


def kind_of(kind: Kind, *, labels: Sequence[str] = (), settings: dict[str, Any]) -> TaskKind:
    """A kind of task from its name, its labels and what `settings` says of it."""
    values: dict[str, Any] = {"max_length": 512, **settings}
    if kind == "span":
        threshold = values.pop("threshold", None)
        spans = Spans(**({"unanswerable": False} | values))
        spans.threshold = threshold
        return spans
    if kind == "choice":
        return Choices(values["max_length"])
    metrics = values.get("metrics", _DEFAULT_METRICS.get(kind, ()))
    if kind == "tagging":
        # tags of every word, of parts of speech for instance, are no spans to be found
        spans_of = all(_SPAN_TAG.fullmatch(label) for label in labels)
        metrics = metrics or (("span_f1",) if spans_of else ("accuracy",))
        return Tags(labels, metrics, values["max_length"])
    return Texts(kind, labels, metrics, values["max_length"], pairs=values.get("pairs"))
