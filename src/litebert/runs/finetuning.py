"""A whole fine-tuning run in its directory: seeds, scores, predictions, the model, the report.

    RUN/recipe.yaml task.json results.json report.html model/
    RUN/seed-0/result.json events.jsonl model/ predictions/ submissions/

RUN/model is that of the seed which did best on the selection rows. Seeds that are done are not
done again; one that was stopped goes on from its last evaluation.
"""

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.interop.load import tokenizer_of
from litebert.interop.task_models import load_encoder, load_task_model
from litebert.model.encoder import Model
from litebert.runs.finetune_seeds import FinetuneSettings, Scored, Seeds, Watch
from litebert.runs.task_report import write_task_report
from litebert.tasks.columns import Columns
from litebert.tasks.example import Example, TextExample
from litebert.tasks.hub_datasets import is_hub_name
from litebert.tasks.kinds import kind_of
from litebert.tasks.problems import Problems
from litebert.tasks.registry import task_of
from litebert.tasks.selection import set_apart, with_dev
from litebert.train.finetune_recipe import FinetuneRecipe
from litebert.train.start import keep_freed_memory


@dataclass(frozen=True)
class FinetuneResult:
    """What a run ended with."""

    output: Path
    scores: dict[str, dict[str, dict[str, float]]]
    """Split, metric, and of it the median, the quartiles and every seed's value."""
    problems: list[str]
    notes: list[str]
    stop_signal: int | None = None
    """The signal that stopped the run early, None when it finished."""

    def asdict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "output": str(self.output),
            "model": str(self.output / "model"),
            "scores": self.scores,
            "problems": self.problems,
            "notes": self.notes,
        }


def finetune(
    task_name: str,
    *,
    model: str,
    data: Path,
    recipe: FinetuneRecipe,
    settings: FinetuneSettings,
    columns: Columns | None = None,
    watch: Watch = lambda event, values: None,
) -> FinetuneResult:
    """Fine-tune a model on a task, seed by seed, and score it on the development rows.

    A directory that holds seeds of the same run goes on with the others. Raises InputError for
    data or a model that cannot be used, and for a directory of another run.
    """
    keep_freed_memory()
    task, problems = task_of(task_name), Problems(strict=settings.strict)
    columns = columns or Columns()
    splits, notes = with_dev(task.read(data, problems, columns))
    train, selection = splits.train, next(iter(splits.dev.values()))
    if recipe.select == "part":
        train, selection = set_apart(splits.train, recipe.part)
        notes.append(f"a part of the training rows, {len(selection):,}, chose the checkpoint")
    else:
        notes.append("the development rows themselves chose the checkpoint, which flatters scores")
    encoder, note = load_encoder(model)
    notes += [note] if note else []
    tokenizer = tokenizer_of(model)
    made_by = _settings(task, recipe, encoder, train.examples[0])
    kind = kind_of(task.kind, labels=train.labels, settings=made_by)
    learned = kind.units(train.examples, tokenizer, problems)
    chosen = Scored(selection, kind.units(selection.examples, tokenizer, problems))
    scored = {
        name: chosen
        if part is selection
        else Scored(part, kind.units(part.examples, tokenizer, problems))
        for name, part in splits.dev.items()
    }
    described = {
        "task": task_name,
        "model": model,
        "weights": _digest(str(value) for value in _weights(encoder)),
        "data": _data_name(data),
        "rows": _digest(
            f"{unit.sequences} {getattr(unit.target, 'borders', unit.target)}" for unit in learned
        ),
        "columns": asdict(columns),
    }
    _claim(settings.output, described, recipe)
    for line in problems.lines():
        watch("warning", {"message": line})
    sizes = {"train": len(train), "selection": len(selection)}
    sizes |= {name: len(part) for name, part in splits.dev.items()}
    watch("task", {"task": task_name, "rows": sizes, "units": len(learned)})
    run = Seeds(task_name, kind, recipe, settings, tokenizer, model, watch)
    for seed in range(settings.seeds):
        stop_signal = run.seed(seed, learned, chosen, scored, splits.test)
        if stop_signal is not None:
            return FinetuneResult(
                settings.output, run.summary(), problems.lines(), notes, stop_signal
            )
    result = FinetuneResult(settings.output, run.summary(), problems.lines(), notes)
    write_atomically(settings.output / "results.json", as_json(result.asdict()))
    shown = next(iter(scored.values()))
    kept = load_task_model(settings.output)
    kept.model.to(run.device).encoder.compute_dtype = run.dtype
    answers, found = shown.answered(kept.model, kept.kind)
    write_task_report(settings.output, kind=kept.kind, predictions=found, answers=answers,
                      examples=shown.data.examples)  # fmt: skip
    return result


def _settings(
    task: Any, recipe: FinetuneRecipe, encoder: Model, example: Example
) -> dict[str, Any]:
    positions = encoder.config.max_positions
    length = recipe.max_length or min(task.max_length, positions)
    if length > positions:
        raise InputError(f"max_length={length} is more than the {positions} positions of the model")
    settings = {**task.settings, "max_length": length}
    if task.kind == "span":
        settings |= {"stride": recipe.stride, "paper_head": recipe.paper_head}
    if isinstance(example, TextExample):
        settings["pairs"] = example.second is not None
    return settings


def _weights(encoder: Model) -> Iterator[float]:
    """A number for every weight matrix that changes when training goes on."""
    return (float(parameter.detach().double().sum()) for parameter in encoder.parameters())


def _digest(parts: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part.encode())
    return digest.hexdigest()[:16]


def _data_name(data: Path) -> str:
    """Where data lies, in words that hold in another working directory too."""
    return str(data) if is_hub_name(str(data)) else str(data.resolve())


def _claim(output: Path, described: dict[str, Any], recipe: FinetuneRecipe) -> None:
    """Take a directory for a run, or find that it is this run's already.

    Rows and weights are part of it: after a correction of the data nothing is left as it was.
    """
    files = {"task.json": as_json(described), "recipe.yaml": recipe.to_yaml().encode()}
    if any(output.glob("seed-*")) or (output / "checkpoints").is_dir():
        for name, content in files.items():
            path = output / name
            if not path.is_file() or path.read_bytes() != content:
                raise InputError(
                    f"{output} holds another run ({name} differs): choose another --output"
                )
    for name, content in files.items():
        write_atomically(output / name, content)
