"""What a run directory says about its run, finished or not: recipe, events, examples, shape.

The report, the model card and pictures of curves are made from this and from nothing else.
"""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from litebert.config import PRESETS, ModelConfig
from litebert.errors import InputError
from litebert.text.remote_shards import local_shards
from litebert.train.events import read_events
from litebert.train.recipe import PretrainRecipe, read_recipe


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """The files of a run directory, read."""

    directory: Path
    recipe: PretrainRecipe
    events: list[dict[str, Any]]
    examples: list[dict[str, Any]]
    """Texts with [MASK] and, per mask, a list of {"token", "probability"}; may be empty."""

    @classmethod
    def read(cls, directory: str | Path) -> "RunRecord":
        """Read a run directory; raises InputError when it is none."""
        directory = Path(directory)
        if not (directory / "recipe.yaml").is_file():
            raise InputError(
                f"{directory}: no run directory, it has no recipe.yaml: check the path"
            )
        examples = directory / "examples.json"
        events = directory / "events.jsonl"
        return cls(
            directory=directory,
            recipe=read_recipe(directory / "recipe.yaml", {}),
            events=read_events(events) if events.exists() else [],
            examples=json.loads(examples.read_text("utf-8")) if examples.exists() else [],
        )

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """The events of some kinds, in order."""
        return [event for event in self.events if event["event"] in kinds]

    @property
    def facts(self) -> dict[str, Any]:
        """What the run said when it last started or resumed; empty when it never did."""
        return (self.of("start", "resume") or [{}])[-1]

    @property
    def evaluation(self) -> dict[str, Any] | None:
        """The newest held-out evaluation."""
        return (self.of("evaluation") or [None])[-1]

    @property
    def latest(self) -> dict[str, Any]:
        """The newest event that counts tokens and seconds."""
        counted = self.of("step", "evaluation")
        return counted[-1] if counted else {"step": 0, "tokens": 0, "seconds": 0.0}

    @property
    def share(self) -> float:
        """Share of the budget that the log covers."""
        if self.finished:
            return 1.0
        latest, recipe = self.latest, self.recipe
        used = {"minutes": latest["seconds"] / 60, "steps": latest["step"]}
        return used.get(recipe.budget, latest["tokens"]) / getattr(recipe, recipe.budget)

    @property
    def finished(self) -> bool:
        """Whether the run used up its budget; a killed or stopped run has not."""
        last = self.of("start", "resume", "end")[-1:]
        return bool(last and last[0].get("finished"))

    @property
    def stopped(self) -> bool:
        """Whether the run was asked to stop and saved its state."""
        last = self.of("start", "resume", "end")[-1:]
        return bool(last and last[0]["event"] == "end" and not last[0]["finished"])

    @property
    def config(self) -> ModelConfig | None:
        """The model's shape: logged at the start, saved with the model, or the preset's."""
        if "config" in self.facts:
            return ModelConfig(**self.facts["config"])
        if (self.directory / "model" / "config.json").is_file():
            from litebert.interop.huggingface import read_config

            return read_config(self.directory / "model")
        index = corpus_index(self.recipe.data)
        if self.recipe.model in PRESETS and index is not None:
            return replace(PRESETS[self.recipe.model], vocab_size=index["vocab_size"])
        return None


def corpus_index(shards: str | Path | None) -> dict[str, Any] | None:
    """index.json of prepared shards, or None where they are no longer there."""
    if shards is None:
        return None
    try:
        return json.loads((local_shards(shards) / "index.json").read_bytes())
    except (OSError, InputError):
        return None
