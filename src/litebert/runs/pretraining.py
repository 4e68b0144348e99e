"""A whole pretraining run in its directory: recipe, events, checkpoints, model, report.

The directory is all that the run wrote, and enough to go on with it or to show it.
"""

import dataclasses
import json
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from litebert.errors import InputError
from litebert.files import write_atomically
from litebert.hardware import choose_device
from litebert.infer.fill_mask import fill_mask
from litebert.interop.huggingface import save
from litebert.runs.card import model_card
from litebert.runs.report import write_report
from litebert.text.remote_shards import local_shards
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer
from litebert.train.checkpoint import checkpoint_directories
from litebert.train.distributed import join, restarted_by_torchrun
from litebert.train.evaluation import Evaluation
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import PretrainRecipe, RunSettings


@dataclass(frozen=True, kw_only=True)
class RunResult:
    """What a run ended with."""

    output: Path
    step: int
    tokens: int
    seconds: float
    stop_signal: int | None
    """The signal that stopped the run early, None when it finished."""
    evaluation: Evaluation | None
    """The last held-out evaluation."""

    @property
    def model_directory(self) -> Path:
        """The model in the Hugging Face layout."""
        return self.output / "model"

    @property
    def report(self) -> Path:
        """The page about the run."""
        return self.output / "report.html"

    def asdict(self) -> dict[str, Any]:
        """The result as JSON values."""
        return {
            "output": str(self.output),
            "model": str(self.model_directory),
            "report": str(self.report),
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
            "evaluation": self.evaluation and self.evaluation.asdict(),
        }


def pretrain(
    recipe: PretrainRecipe,
    settings: RunSettings,
    *,
    watch: Callable[[str, dict], None] = lambda event, values: None,
    examples: list[str] | None = None,
) -> RunResult:
    """Run a recipe in `settings.output` and leave model/, report.html and examples.json there.

    `examples` are texts with [MASK] for the report; held-out sentences with one word masked when
    left out. Under torchrun every rank calls this, and the first writes. Raises InputError when the
    directory holds another run, or none to resume.
    """
    output = settings.output
    device = choose_device(settings.device)
    ranks = join(device)
    if restarted_by_torchrun() and (output / "recipe.yaml").is_file():
        settings = dataclasses.replace(settings, resume=True)
    if ranks.first:
        _check_place(output, resume=settings.resume)
    run = Pretraining(recipe, settings, watch=watch, device=device, ranks=ranks)
    if ranks.first and not checkpoint_directories(output / "checkpoints"):
        # a run killed before its first checkpoint starts over: with any recipe
        write_atomically(output / "recipe.yaml", recipe.to_yaml().encode())
    try:
        progress = run.run()
    finally:
        ranks.leave()
    result = RunResult(
        output=output,
        step=progress.step,
        tokens=progress.tokens,
        seconds=progress.seconds,
        stop_signal=run.stop_signal,
        evaluation=run.last_evaluation,
    )
    if not ranks.first:
        return result
    if run.stop_signal is None:
        model = run.model.cpu().eval()
        if examples is None:
            source = Shards.open(local_shards(recipe.valid or recipe.data))
            examples = masked_examples(source, run.tokenizer, count=6)
        answered = [
            {
                "text": text,
                "answers": [
                    [{"token": token, "probability": p} for token, p in answer]
                    for answer in fill_mask(model, run.tokenizer, text, top=5)
                ],
            }
            for text in examples
        ]
        write_atomically(output / "examples.json", json.dumps(answered).encode())
        save(model, run.tokenizer, result.model_directory, card=model_card(output))
    write_report(output)
    return result


def _check_place(output: Path, *, resume: bool) -> None:
    if resume and not (output / "recipe.yaml").is_file():
        raise InputError(f"{output} holds no run to resume: start it without --resume")
    if not resume and output.exists() and any(output.iterdir()):
        raise InputError(f"{output} is not empty: use --resume or choose another --output")


def masked_examples(shards: Shards, tokenizer: Tokenizer, *, count: int) -> list[str]:
    """Sentences of a corpus with one whole word of their middle replaced by [MASK]."""
    word_starts = tokenizer.word_starts()
    examples: list[str] = []
    for shard in shards.shards:
        step = max(1, (len(shard.segments) - 1) // (4 * count))
        for number in range(step // 2, len(shard.segments) - 1, step):
            ids = shard.tokens[shard.segments[number] : shard.segments[number + 1]].tolist()
            starts = [i for i, token in enumerate(ids) if word_starts[token]]
            whole = [a for a, b in pairwise(starts) if b == a + 1 and a > 2]
            if not 10 <= len(ids) <= 40 or not whole:
                continue
            # the longest one-piece word of the sentence says more than a "the"
            at = max(whole, key=lambda i: len(tokenizer.piece(ids[i])))
            before, after = tokenizer.decode(ids[:at]), tokenizer.decode(ids[at + 1 :])
            examples.append(f"{before} [MASK] {after}")
            if len(examples) == count:
                return examples
    return examples
