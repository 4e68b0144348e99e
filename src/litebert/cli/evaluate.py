"""`litebert evaluate`: what a model scores, on held-out text, on BLiMP, or on its task."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import tyro
from rich.console import Console
from rich.progress import Progress

from litebert.cli.evaluate_blimp import evaluate_blimp
from litebert.cli.evaluate_task import evaluate_task
from litebert.cli.model_argument import open_model
from litebert.cli.progress import evaluation_line
from litebert.errors import InputError
from litebert.hardware import choose_device
from litebert.infer.prepare import Precision, arithmetic_of, prepare
from litebert.interop.load import SENTENCE_WEIGHTS
from litebert.interop.task_models import is_task_model
from litebert.runs.record import corpus_index
from litebert.text.batch_settings import BatchSettings
from litebert.text.pairs import Objective
from litebert.text.remote_shards import local_shards
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer
from litebert.train.evaluation import evaluate, held_out_batches, unigram_surprisal
from litebert.train.recipe import PretrainRecipe, read_recipe


@dataclass(frozen=True)
class Settings:
    """What to evaluate, and on what."""

    model: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="MODEL")]
    """A run of pretraining or fine-tuning, a Hugging Face directory or hub id, or Google's
    TensorFlow checkpoint."""
    data: Annotated[str | None, tyro.conf.arg(metavar="PATH")] = None
    """Held-out shards (litebert prepare), or labelled rows for a fine-tuned model; a run's own
    when left out."""
    blimp: Annotated[Path | None, tyro.conf.arg(metavar="PATH")] = None
    """Score minimal pairs instead: BLiMP's folder, or a .jsonl or .jsonl.gz file."""
    columns: Annotated[tuple[str, ...], tyro.conf.arg(metavar="ROLE=COLUMN")] = ()
    """Columns of your own file of labelled rows, as for finetune; the run's own when left out."""
    within_word: bool = True
    """For BLiMP: mask the later pieces of a word together with an earlier one."""
    train: Annotated[str | None, tyro.conf.arg(metavar="DIR")] = None
    """Training shards, for the unigram baseline; a run's own when left out."""
    others: Annotated[tuple[str, ...], tyro.conf.arg(name="with", metavar="RUN")] = ()
    """Further fine-tuned models that answer together with the first."""
    batches: int = 500
    """Most batches of 4,096 tokens to look at, spread evenly over the corpus."""
    max_length: Annotated[int | None, tyro.conf.arg(metavar="INT")] = None
    """Longest sequence, specials included; a run's own, else 128, when left out."""
    objective: Objective | None = None
    """mlm, mlm+sop or mlm+nsp; a run's own, else mlm+sop, when left out."""
    device: str = "auto"
    """cpu, cuda, cuda:1, ... or auto."""
    precision: Precision = "auto"
    """Arithmetic of dense layers: bf16, fp32, the faster of the two here, or int8, which rounds
    weights (CPUs only)."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Evaluate a model; raises InputError when its tokenizer did not make the shards."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert evaluate",
        description="Held-out masked-LM and sentence results of a model, beside the baseline; its "
        "accuracy on BLiMP; or the metrics of a fine-tuned model's task.",
    )
    if settings.blimp is not None:
        return evaluate_blimp(
            settings.model,
            settings.blimp,
            device=settings.device,
            precision=settings.precision,
            within_word=settings.within_word,
            as_json=settings.json,
        )
    if is_task_model(settings.model):
        return evaluate_task(
            settings.model,
            None if settings.data is None else Path(settings.data),
            columns=settings.columns,
            others=settings.others,
            device=settings.device,
            precision=settings.precision,
            as_json=settings.json,
        )
    if settings.others or settings.columns:
        raise InputError(
            f"--with and --columns are for models of a task, and {settings.model} has none"
        )
    if settings.batches < 1:
        raise InputError(f"batches={settings.batches} must be at least 1")
    recipe = _recipe_of(settings.model)
    data = settings.data or (recipe and recipe.valid)
    if data is None:
        raise InputError("no held-out text given: add --data DIR, made by litebert prepare")
    asked = BatchSettings(
        objective=settings.objective or (recipe.objective if recipe else "mlm+sop"),
        max_length=_first(settings.max_length, recipe and recipe.max_length, 128),
    )
    allow = SENTENCE_WEIGHTS if asked.objective == "mlm" else ()
    model, tokenizer = open_model(settings.model, allow=allow)
    shards = _shards_for(tokenizer, data, settings.model)
    train = settings.train
    if train is None and recipe is not None and corpus_index(recipe.data) is not None:
        train = recipe.data
    unigram = None
    if train is not None:
        unigram = unigram_surprisal(_shards_for(tokenizer, train, settings.model))
    device = choose_device(settings.device)
    model = prepare(model.to(device), settings.precision, source=settings.model)
    batches = held_out_batches(shards, asked)
    count = min(settings.batches, batches.num_batches)
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("evaluating", total=count)
        result = evaluate(
            model,
            batches,
            limit=count,
            device=device,
            unigram=unigram,
            on_batch=lambda: progress.advance(task),
        )
    if settings.json:
        facts = {
            "model": settings.model,
            "data": str(data),
            "train": train and str(train),
            "objective": asked.objective,
            "max_length": asked.max_length,
            "batches": count,
            "precision": arithmetic_of(model),
        }
        print(json.dumps(facts | asdict(result)))
    else:
        print(f"{settings.model} on {data}: {evaluation_line(asdict(result))}")
    return 0


def _first(*values: int | None) -> int:
    return next(value for value in values if value is not None)


def _recipe_of(model: str) -> PretrainRecipe | None:
    path = Path(model) / "recipe.yaml"
    return read_recipe(path, {}) if path.is_file() else None


def _shards_for(tokenizer: Tokenizer, path: str | Path, model: str) -> Shards:
    """Shards that this tokenizer made; ids of another one would be scored as nonsense."""
    shards = Shards.open(local_shards(path))
    if shards.fingerprint != tokenizer.fingerprint:
        raise InputError(
            f"{path}: made by another tokenizer ({shards.vocab_size} entries) than that of "
            f"{model} ({tokenizer.vocab_size}): prepare the text with the model's own tokenizer"
        )
    return shards
