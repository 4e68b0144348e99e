"""`litebert evaluate MODEL --blimp FILE`: which sentence of a minimal pair a model prefers."""

import json
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from litebert.cli.model_argument import open_model
from litebert.hardware import choose_device
from litebert.infer.prepare import Precision, prepare
from litebert.interop.load import SENTENCE_WEIGHTS
from litebert.tasks.blimp import read_blimp, score_blimp
from litebert.tasks.pseudo_likelihood import pseudo_log_likelihoods
from litebert.train.start import keep_freed_memory


def evaluate_blimp(
    model_name: str,
    path: Path,
    *,
    device: str,
    precision: Precision,
    within_word: bool,
    as_json: bool,
) -> int:
    """Score the pairs of a file or folder; accuracies by field, by paradigm too with --json."""
    keep_freed_memory()
    pairs = read_blimp(path)
    model, tokenizer = open_model(model_name, allow=SENTENCE_WEIGHTS)
    model = prepare(model.to(choose_device(device)), precision, source=model_name)
    console = Console(stderr=True)
    began = time.perf_counter()
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("BLiMP", total=2 * len(pairs))
        scores = pseudo_log_likelihoods(
            model,
            tokenizer,
            [pair.good for pair in pairs] + [pair.bad for pair in pairs],
            within_word=within_word,
            on_batch=lambda texts: progress.advance(task, texts),
        )
    seconds = time.perf_counter() - began
    found = score_blimp(pairs, scores[: len(pairs)], scores[len(pairs) :])
    if as_json:
        facts = {"model": model_name, "within_word": within_word, "seconds": round(seconds, 1)}
        print(json.dumps(facts | asdict(found)))
    else:
        fields = ", ".join(f"{name} {value:.1f}" for name, value in found.fields.items())
        print(f"BLiMP {found.overall:.1f} ({fields}); {found.pairs:,} pairs in {seconds:.0f} s")
    return 0
