"""Does one cell of a study: pretraining, the evaluation ladder, result.json.

`python -m litebert.study.run_cell STUDY NAME` is how a study runs its cells as processes of their
own; a Ray task calls `run_cell`. Everything it needs is in the study's directory.
"""

import fcntl
import json
import shutil
import statistics
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from litebert.config import ModelConfig
from litebert.errors import DivergenceError, InputError
from litebert.files import write_atomically
from litebert.hardware import choose_device, choose_dtype
from litebert.interop.huggingface import save
from litebert.interop.load import load, model_directory
from litebert.model.encoder import build
from litebert.runs.pretraining import pretrain
from litebert.runs.record import RunRecord
from litebert.study.cell import LADDER, Cell, cell_directory, read_cell, read_result, write_result
from litebert.study.ladder import Ladder
from litebert.study.study import flops_per_token
from litebert.text.tokenizer import load_tokenizer
from litebert.train.checkpoint import checkpoint_directories
from litebert.train.provenance import provenance
from litebert.train.recipe import PretrainRecipe, RunSettings
from litebert.train.recipe_file import typed_fields

# A cell that goes on from another must not read the same pairs under the same masks again.
SEEDS_OF_A_STAGE = 10_000


def run_cell(study: Path, name: str) -> dict[str, Any] | None:
    """Do a cell, or go on with it, and return its result; None when a signal stopped it.

    A cell that another process is at, left over from a study that was killed, is waited for.
    """
    with (cell_directory(study, name) / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        return read_result(study, name) or _run(study, name)


def _run(study: Path, name: str) -> dict[str, Any] | None:
    cell, place = read_cell(study, name), cell_directory(study, name)
    ladder = Ladder.read(study / LADDER)
    run = place / "run"
    begun = bool(checkpoint_directories(run / "checkpoints"))
    if not begun:
        shutil.rmtree(run, ignore_errors=True)
    recipe = _recipe(study, cell)
    settings = RunSettings(output=run, resume=begun, workers=0, tensorboard=False)
    try:
        ended = pretrain(recipe, settings)
    except DivergenceError:
        if not cell.sweep:
            raise
        return write_result(study, name, {**_named(cell), "figures": {}, "seconds": 0.0})
    if ended.stop_signal is not None:
        return None
    model = load(run)
    moved = ladder.similarity(model)
    device = choose_device("auto")
    # in the arithmetic that the study chose once, not what is faster just now
    model.to(device).compute_dtype = choose_dtype(recipe.precision, device)
    curve = [
        {name: event[name] for name in ("seconds", "tokens", "mlm_loss")}
        for event in RunRecord.read(run).of("evaluation")
    ]
    if cell.sweep:
        # rates are chosen by the loss that the run itself ended with
        figures = {"mlm_loss": curve[-1]["mlm_loss"]}
    else:
        figures = ladder.climb(model, run, objective=recipe.objective, device=device)
    figures["distance_spread"] = statistics.pstdev(moved.distance)
    figures["last_distance"] = moved.distance[-1]
    begun_with = read_result(study, cell.starts_from) if cell.starts_from else None
    before = begun_with or {"tokens": 0, "training_flops": 0}
    flops = ended.tokens * flops_per_token(model.config, cell.recipe)
    result = {
        **_named(cell),
        "figures": figures,
        "similarity": asdict(moved),
        "curve": curve,
        "tokens": before["tokens"] + ended.tokens,
        "seconds": ended.seconds,
        "parameters": sum(weight.numel() for weight in model.parameters()),
        "training_flops": before["training_flops"] + flops,
    }
    write_result(study, name, result)
    shutil.rmtree(run / "checkpoints", ignore_errors=True)
    return result


def _named(cell: Cell) -> dict[str, Any]:
    named = {name: getattr(cell, name) for name in ("variant", "seed", "rates", "sweep")}
    return named | {"made": provenance(choose_device("auto"))}


def _recipe(study: Path, cell: Cell) -> PretrainRecipe:
    fields = dict(cell.recipe)
    for rate in ("lr", "muon_lr"):
        fields[rate] = cell.rates * fields.get(rate, getattr(PretrainRecipe, rate))
    place = cell_directory(study, cell.name)
    if cell.starts_from is None:
        shape = asdict(cell.shape)
        del shape["vocab_size"]
        model = place / "shape.json"
        write_atomically(model, json.dumps(shape).encode())
    else:
        model = place / "start"
        _as_deep(cell_directory(study, cell.starts_from) / "run", cell.shape, model)
    typed = typed_fields(PretrainRecipe, fields, f"{place}/cell.json")
    seed = cell.seed + SEEDS_OF_A_STAGE * cell.stage
    return PretrainRecipe(**typed, model=str(model), seed=seed)


def _as_deep(source: Path, shape: ModelConfig, output: Path) -> None:
    """Write the model of a run at the depth of a shape: one block, applied another number of times.

    Raises InputError when the two differ in anything else.
    """
    model = load(source)
    if replace(model.config, depth=shape.depth) != shape:
        raise InputError(f"{source}: another shape than {output.parent} goes on with")
    fresh = build(shape)
    fresh.load_state_dict(model.state_dict())
    save(fresh, load_tokenizer(model_directory(source)), output)


def main(argv: list[str]) -> int:
    """Do the cell that the arguments name; 1 when a signal stopped it, 2 for bad input."""
    study, name = argv
    try:
        return 0 if run_cell(Path(study), name) else 1
    except InputError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
