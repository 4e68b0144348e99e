"""The recipe of a fine-tuning run: what changes its outcome, in one YAML file.

Field docstrings are the help text of `litebert finetune`. The defaults are one plain recipe for
all tasks, after cramming's "GLUE-sane" (arXiv 2212.14034): five epochs, batches of 16.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from litebert.errors import InputError
from litebert.hardware import Precision
from litebert.train.recipe_file import (
    check_at_least,
    check_positive,
    check_shares,
    read_mapping,
    typed_fields,
    yaml_of,
)


@dataclass(frozen=True, kw_only=True)
class FinetuneRecipe:
    """What a fine-tuning run does."""

    epochs: float = 5.0
    """Passes over the training examples (windows, where contexts are cut into such)."""
    steps: int | None = None
    """Optimizer steps, instead of epochs."""
    batch_size: int = 16
    """Examples a step."""
    lr: float = 4e-5
    """Peak learning rate of AdamW."""
    warmup: float = 0.1
    """Share of the steps in which the learning rate rises; then it falls to 0 in a line."""
    weight_decay: float = 0.01
    """Weight decay, not on biases and LayerNorms."""
    betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of AdamW's moments."""
    clip: float = 1.0
    """Largest norm of the gradient."""
    every_depth: bool = False
    """Learn to answer after every layer, later ones weighted more, so that sure answers can be
    given early (litebert exits) and fewer layers be run; not for tags and answers."""
    layer_decay: float = 1.0
    """Factor on the learning rate per application of a block below the top; 1 is plain."""
    dropout: float | None = None
    """Dropout inside the encoder; as the model's config.json has it when left out."""
    head_dropout: float = 0.1
    """Dropout before the head."""
    max_length: int | None = None
    """Longest sequence in tokens; when left out 128 for texts and tags, 384 for answers, 512 for
    choices."""
    stride: int = 128
    """Tokens from one window of a long context to the next."""
    paper_head: bool = False
    """For SQuAD 2.0 the paper's head: the end given the start, answerability apart."""
    evaluations: int = 5
    """Evaluations on the selection rows, evenly over the run; the best one's weights are kept."""
    select: Literal["part", "dev"] = "part"
    """What chooses the moment and the threshold: a part of the training rows, or the development
    rows themselves as the paper did, which flatters the result."""
    part: float = 0.1
    """Share of the training rows that chooses, at most 1,000 rows."""
    precision: Precision = "auto"
    """Arithmetic of activations: bf16, fp32, or the faster of the two here."""

    def __post_init__(self) -> None:
        check_at_least(self, 1, "batch_size", "evaluations", "stride")
        check_positive(self, "epochs", "lr", "clip")
        check_shares(self, "warmup", "betas", "head_dropout")
        if self.steps is not None:
            check_at_least(self, 1, "steps")
        if self.dropout is not None:
            check_shares(self, "dropout")
        if self.max_length is not None:
            check_at_least(self, 16, "max_length")
        for name in ("layer_decay", "part"):
            if not 0 < getattr(self, name) <= (1 if name == "layer_decay" else 0.5):
                raise InputError(f"{name}={getattr(self, name)} is out of its range")

    def to_yaml(self) -> str:
        """The recipe as YAML that `read_finetune_recipe` reads back."""
        return yaml_of(self)


def read_finetune_recipe(
    path: Path | None, overrides: dict[str, Any], *, task: str | None = None
) -> FinetuneRecipe:
    """A recipe from a YAML file and overriding fields.

    A section `tasks` of the file holds what differs for single tasks, as in the paper's Table 14.
    Raises InputError for broken files, unknown fields, wrong types and impossible values.
    """
    values = read_mapping(path)
    by_task = values.pop("tasks", {})
    if not isinstance(by_task, dict) or not all(isinstance(v, dict) for v in by_task.values()):
        raise InputError(f"recipe {path}: tasks must map names of tasks to their fields")
    values |= by_task.get(task, {})
    if "epochs" in overrides:
        values.pop("steps", None)
    source = f"recipe {path}" if path else "the recipe"
    return FinetuneRecipe(**typed_fields(FinetuneRecipe, {**values, **overrides}, source))
