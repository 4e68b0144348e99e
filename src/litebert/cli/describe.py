"""`litebert describe`: size, arithmetic and memory of models, from their configurations alone."""

import difflib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import tyro

from litebert.config import PRESETS, ModelConfig
from litebert.errors import InputError
from litebert.interop import huggingface, tensorflow
from litebert.interop.load import model_directory
from litebert.model import flops, size

# Share of tokens predicted in pretraining, for the arithmetic of the masked-LM head.
MASK_RATE = 0.15


@dataclass(frozen=True)
class Settings:
    """What to describe."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME ...")]
    """Presets (albert-base, bert-base, ...) or directories of models."""
    length: int = 512
    """Tokens per sequence, for the arithmetic of attention."""
    vocab_size: int | None = None
    """Count with a vocabulary of this size instead of the model's own."""
    json: bool = False
    """Print one JSON object to standard output."""


def main(argv: list[str]) -> int:
    """Describe models; raises InputError for a name that is neither preset nor directory."""
    settings = tyro.cli(
        Settings,
        args=argv,
        prog="litebert describe",
        description="Parameters, arithmetic per token and memory of models.",
    )
    if not settings.names:
        raise InputError(f"no name given: try litebert describe {' '.join(list(PRESETS)[:2])}")
    if settings.length < 1:
        raise InputError(f"length={settings.length} must be at least 1 token")
    models = {}
    for name in settings.names:
        config = find(name)
        if settings.vocab_size is not None:
            config = replace(config, vocab_size=settings.vocab_size)
        models[name] = describe(config, length=settings.length)
    if settings.json:
        print(json.dumps({"length": settings.length, "mask_rate": MASK_RATE, "models": models}))
    else:
        _print_tables(models, settings.length)
    return 0


def find(name: str) -> ModelConfig:
    """The configuration of a preset, a model directory or a run; raises InputError for others."""
    if name in PRESETS:
        return PRESETS[name]
    directory = Path(model_directory(name))
    if (directory / "albert_config.json").is_file():
        return tensorflow.read_config(directory)
    if directory.is_dir():
        return huggingface.read_config(directory)
    close = difflib.get_close_matches(name, PRESETS, n=1)
    hint = f"did you mean {close[0]}?" if close else f"presets are {', '.join(PRESETS)}"
    raise InputError(f"{name}: neither a preset nor a directory of a model: {hint}")


def describe(config: ModelConfig, *, length: int) -> dict[str, int]:
    """Counts of one model: parameters, operations per token at `length`, bytes of the weights."""
    encoder = size.encoder_parameters(config)
    total = encoder + size.head_parameters(config)
    block = size.attention_parameters(config) + size.feed_forward_parameters(config)
    unshared = replace(config, sharing="none", groups=1)
    forward = flops.forward_flops(config, length=length, mask_rate=MASK_RATE)
    return {
        "encoder_with_pooler": encoder,
        "with_pretraining_heads": total,
        "embeddings": size.embedding_parameters(config),
        "embeddings_unfactorised": size.embedding_parameters(config, factorised=False),
        "one_block": block,
        "encoder_with_pooler_unshared": size.encoder_parameters(unshared),
        "forward_flops_per_token": round(forward),
        "training_flops_per_token": round(3 * forward),
        "weights_fp32_bytes": 4 * total,
        "weights_bf16_bytes": 2 * total,
    }


_TITLES = {
    "encoder_with_pooler": "encoder with pooler",
    "with_pretraining_heads": "with pretraining heads",
    "embeddings": "embeddings",
    "embeddings_unfactorised": "embeddings with E = H",
    "one_block": "one block",
    "encoder_with_pooler_unshared": "encoder, nothing shared",
}
# Models side by side, so that their numbers fit a terminal of 80 columns.
_COLUMNS = 3


def _print_tables(models: dict[str, dict[str, int]], length: int) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    names = list(models)
    for first in range(0, len(names), _COLUMNS):
        shown = {name: models[name] for name in names[first : first + _COLUMNS]}
        table = Table(caption=f"sequences of {length} tokens, {MASK_RATE:.0%} of them predicted")
        table.add_column("parameters")
        for name in shown:
            table.add_column(name, justify="right")
        for key, title in _TITLES.items():
            table.add_row(title, *(f"{counts[key]:,}" for counts in shown.values()))
        table.add_section()
        for pass_ in ("forward", "training"):
            counts = [counts[f"{pass_}_flops_per_token"] / 1e6 for counts in shown.values()]
            table.add_row(f"{pass_}, MFLOP/token", *(f"{count:,.1f}" for count in counts))
        for dtype in ("fp32", "bf16"):
            counts = [counts[f"weights_{dtype}_bytes"] / 1e6 for counts in shown.values()]
            table.add_row(f"weights in {dtype}, MB", *(f"{count:,.1f}" for count in counts))
        console.print(table)
