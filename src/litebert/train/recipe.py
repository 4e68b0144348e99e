"""The recipe of a pretraining run: every setting that changes its outcome, in one YAML file.

Settings that only change speed (device, workers, where to write) are RunSettings, kept apart so
that two machines can run one recipe. Field docstrings are the help text of `litebert pretrain`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from litebert.errors import InputError
from litebert.hardware import Precision
from litebert.model.recompute import Recompute
from litebert.text.batch_settings import BatchSettings
from litebert.train.recipe_file import (
    check_at_least,
    check_positive,
    check_shares,
    read_mapping,
    typed_fields,
    yaml_of,
)

BUDGETS = ("minutes", "steps", "tokens")


@dataclass(frozen=True, kw_only=True)
class PretrainRecipe(BatchSettings):
    """What a pretraining run does: the settings of its batches and everything else."""

    data: str | Path
    """Prepared training shards (litebert prepare): a directory or a URL, s3://... for instance."""
    valid: str | Path | None = None
    """Prepared held-out shards for evaluation; none are evaluated when left out."""
    model: str = "albert-mini"
    """A preset name (litebert describe), a config.json with your own shape, or a model directory
    to go on from."""
    initialization: Literal["informed", "paper"] = "informed"
    """How a fresh model begins: informed of the tokens' frequencies and that neighbours matter,
    which a run would learn first anyway, or with the paper's random weights alone."""
    depth_stages: tuple[float, ...] = ()
    """Shares of the model's depth in equal parts of the run, 1 last: with 0.5 1 the block is
    applied half as often in the first half. For models that share all their layers."""
    minutes: float | None = None
    """Budget: minutes of training. Give exactly one of minutes, steps and tokens."""
    steps: int | None = None
    """Budget: optimizer steps."""
    tokens: int | None = None
    """Budget: tokens seen."""
    accumulation: int = 1
    """Batches whose gradients make one optimizer step."""
    optimizer: Literal["muon", "adamw", "lamb"] = "muon"
    """muon: Muon on the block's matrices and AdamW on the rest. lamb: the paper's."""
    lr: float = 2e-3
    """Peak learning rate of AdamW or LAMB."""
    muon_lr: float = 3e-3
    """Peak learning rate of Muon."""
    weight_decay: float = 0.01
    """Weight decay of AdamW or LAMB, not on biases and LayerNorms."""
    muon_weight_decay: float = 0.0
    """Weight decay of Muon."""
    betas: tuple[float, float] = (0.9, 0.98)
    """Decay rates of AdamW's or LAMB's moments; the paper's LAMB has 0.9 0.999."""
    warmup: float = 0.04
    """Share of the budget in which the learning rate rises."""
    clip: float = 1.0
    """Largest norm of the gradient; longer ones are scaled down to it."""
    sentence_weight: float = 1.0
    """Weight of the sentence objective's loss; the paper has 1."""
    precision: Precision = "auto"
    """Arithmetic of activations: bf16, fp32, or the faster of the two here."""
    evaluations: int = 10
    """Evaluations on the held-out shards, evenly over the run; the last is at its end."""
    evaluation_batches: int = 50
    """Batches of a held-out evaluation during the run; the last evaluation takes all, up to ten
    times as many."""

    def __post_init__(self) -> None:
        budgets = [name for name in BUDGETS if getattr(self, name)]
        if len(budgets) != 1:
            found = " and ".join(budgets) or "none of them"
            raise InputError(f"give exactly one of minutes, steps and tokens; found {found}")
        check_at_least(self, 1, "accumulation", "evaluation_batches")
        check_positive(self, "lr", "muon_lr", "clip", self.budget)
        check_shares(self, "warmup", "betas")
        check_at_least(
            self, 0, "weight_decay", "muon_weight_decay", "sentence_weight", "evaluations"
        )
        if self.depth_stages and not (
            self.depth_stages[-1] == 1 and all(0 < share <= 1 for share in self.depth_stages)
        ):
            stages = " ".join(f"{share:g}" for share in self.depth_stages)
            raise InputError(f"depth_stages={stages} must lie in (0, 1] and end with 1")
        super().__post_init__()

    def depth_at(self, progress: float, *, full: int) -> int:
        """How often the block of a model of depth `full` is applied at a progress in [0, 1]."""
        if not self.depth_stages or progress >= 1:
            return full
        return max(1, round(self.depth_stages[int(progress * len(self.depth_stages))] * full))

    @property
    def budget(self) -> str:
        """The name of the budget that ends the run."""
        return next(name for name in BUDGETS if getattr(self, name))

    def to_yaml(self) -> str:
        """The recipe as the text of a YAML file that `read_recipe` reads back."""
        return yaml_of(self)


@dataclass(frozen=True, kw_only=True)
class RunSettings:
    """Where and how fast a run goes; nothing here changes its outcome."""

    output: Path
    """Run directory: recipe.yaml, events.jsonl, checkpoints/, model/, report.html."""
    resume: bool = False
    """Go on from the newest complete checkpoint of the run directory."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    workers: int = 1
    """Processes that make batches ahead of the step."""
    recompute: Recompute = "nothing"
    """Memory against time, same results: what the backward pass computes again instead of keeping
    it: nothing, the cheap activations between the products, or whole blocks."""
    log_every: float = 2.0
    """Seconds between lines of events.jsonl."""
    checkpoint_minutes: float = 5.0
    """Minutes between checkpoints; Ctrl-C and the end of the run save one too."""
    keep_checkpoints: int = 2
    """Newest checkpoints kept."""
    copy_to: str | None = None
    """URL of a directory (s3://..., gs://...) that checkpoints are copied to as well; --resume on
    another machine goes on from there."""
    tensorboard: bool = True
    """Also write the curves for TensorBoard, under tensorboard/."""

    def __post_init__(self) -> None:
        check_at_least(self, 0, "workers")
        check_at_least(self, 1, "keep_checkpoints")


def read_recipe(path: Path | None, overrides: dict[str, Any]) -> PretrainRecipe:
    """A recipe from a YAML file and overriding fields.

    Raises InputError for a missing or broken file, unknown fields (with the nearest known name),
    values of the wrong type, and contradictions between fields.
    """
    values = read_mapping(path)
    if any(name in overrides for name in BUDGETS):
        values = {k: v for k, v in values.items() if k not in BUDGETS}
    source = f"recipe {path}" if path else "the recipe"
    fields = typed_fields(PretrainRecipe, {**values, **overrides}, source)
    if "data" not in fields:
        raise InputError(f"{source} needs data: a directory made by litebert prepare")
    return PretrainRecipe(**fields)
