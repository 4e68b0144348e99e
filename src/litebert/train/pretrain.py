"""The pretraining run: batches in, optimizer steps, evaluations, checkpoints, a model out.

Batch k and the dropout of step s are functions of the seed, so a run goes on after a kill exactly
where its newest checkpoint stands, and ends with the weights of an undisturbed run.
"""

import itertools
import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace

import torch
from torch import Tensor, nn

from litebert.errors import InputError
from litebert.model.encoder import Model
from litebert.text.batches import Batches, PretrainBatch, stream
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer, load_tokenizer
from litebert.train.checkpoint import load_newest_checkpoint, save_checkpoint
from litebert.train.evaluation import Evaluation, evaluate, held_out_batches, unigram_surprisal
from litebert.train.events import EventLog
from litebert.train.objective import losses, to_device
from litebert.train.optimizer import build_optimizers
from litebert.train.provenance import code_version, hardware, library_versions
from litebert.train.recipe import PretrainRecipe, RunSettings
from litebert.train.schedule import rate_advice, rate_factor
from litebert.train.start import choose_device, choose_dtype, open_shards, start_model

# The last evaluation looks at this many times the batches of those during the run.
LAST_EVALUATION = 10


@dataclass
class Progress:
    """Where a run stands; what a checkpoint stores beside the tensors."""

    step: int = 0
    tokens: int = 0
    seconds: float = 0.0
    evaluations: int = 0
    precision: str = ""
    """Arithmetic chosen at the start, so that a resumed run does not choose another one."""

    def share(self, recipe: PretrainRecipe) -> float:
        """Share of the budget that is used up."""
        used = {"minutes": self.seconds / 60, "steps": self.step, "tokens": self.tokens}
        return used[recipe.budget] / getattr(recipe, recipe.budget)


@dataclass
class Running:
    """Sums since the last line of the log; they stay on the device until it is written."""

    sums: list[Tensor | float] = field(default_factory=lambda: [0.0] * 5)
    predictions: int = 0
    sentences: int = 0
    steps: int = 0
    tokens: int = 0
    since: float = field(default_factory=time.perf_counter)

    def means(self) -> dict[str, float]:
        """Means per prediction, per labelled sequence and per step."""
        mlm, mlm_right, sentence, sentence_right, norm = (float(total) for total in self.sums)
        values = {
            "mlm_loss": mlm / self.predictions,
            "mlm_accuracy": mlm_right / self.predictions,
            "gradient_norm": norm / self.steps,
            "tokens_per_second": self.tokens / (time.perf_counter() - self.since),
        }
        if self.sentences:
            values["sentence_loss"] = sentence / self.sentences
            values["sentence_accuracy"] = sentence_right / self.sentences
        return values


class Pretraining:
    """One run of a recipe; `run()` does all of it.

    `watch` is called with every event as it is logged, which is how a progress bar follows.
    """

    def __init__(
        self,
        recipe: PretrainRecipe,
        settings: RunSettings,
        *,
        watch: Callable[[str, dict], None] = lambda event, values: None,
    ):
        self.recipe, self.settings, self.watch = recipe, settings, watch
        self.device = choose_device(settings.device)
        self.tokenizer: Tokenizer = load_tokenizer(Shards.open(recipe.data).tokenizer_path)
        shards = open_shards(recipe.data, self.tokenizer)
        word_starts = self.tokenizer.word_starts()
        self.batches = Batches(shards, word_starts=word_starts, settings=recipe)
        self.unigram = unigram_surprisal(shards)
        self.valid = None
        if recipe.valid is not None:
            self.valid = held_out_batches(open_shards(recipe.valid, self.tokenizer), recipe)
        self.model: Model = start_model(recipe, vocab_size=shards.vocab_size)
        self.model.to(self.device).train()
        self.model.compute_dtype = choose_dtype(recipe.precision, self.device)
        self.optimizers = build_optimizers(self.model, recipe)
        self.progress = Progress(precision=str(self.model.compute_dtype).removeprefix("torch."))
        self.saved_step = -1
        self.stop_signal: int | None = None
        self.last_evaluation: Evaluation | None = None

    def run(self) -> Progress:
        """Train until the budget is used up or a signal asks to stop; the last state is saved."""
        output = self.settings.output
        resume_step = self._resume() if self.settings.resume else None
        self.log = EventLog(output, tensorboard=self.settings.tensorboard, resume_step=resume_step)
        self._say(
            "start" if resume_step is None else "resume",
            step=self.progress.step,
            model=self.recipe.model,
            parameters=sum(p.numel() for p in self.model.parameters()),
            precision=self.progress.precision,
            device=str(self.device),
            threads=torch.get_num_threads(),
            hardware=hardware(self.device),
            commit=code_version(),
            versions=library_versions(),
            config=asdict(self.model.config),
        )
        self._advise_on_rate()
        with self._stopping_on_signals():
            self._train()
        if self.stop_signal is None:
            self._evaluate(last=True)
        self._checkpoint()
        self._say("end", step=self.progress.step, finished=self.stop_signal is None)
        self.log.close()
        return self.progress

    def _train(self) -> None:
        progress, recipe = self.progress, self.recipe
        clock = time.perf_counter() - progress.seconds
        saved_at, running = time.perf_counter(), Running()
        for batches in self._groups_of_batches():
            if progress.share(recipe) >= 1 or self.stop_signal is not None:
                break
            self._step(batches, running)
            progress.step += 1
            progress.tokens += recipe.batch_tokens * recipe.accumulation
            progress.seconds = time.perf_counter() - clock
            if time.perf_counter() - running.since >= self.settings.log_every:
                self._log_step(running)
                running = Running()
            # the evaluation at the end of the run is the last, larger one
            due = int(progress.share(recipe) * recipe.evaluations)
            if progress.evaluations < due < recipe.evaluations:
                progress.evaluations = due
                self._evaluate()
                running = Running()
            if time.perf_counter() - saved_at >= 60 * self.settings.checkpoint_minutes:
                self._checkpoint()
                saved_at, running = time.perf_counter(), Running()

    def _groups_of_batches(self) -> Iterator[list[PretrainBatch]]:
        size = self.recipe.accumulation
        first = self.progress.step * size
        batches = iter(
            stream(self.batches, start=first, stop=first + 2**40, workers=self.settings.workers)
        )
        while True:
            yield list(itertools.islice(batches, size))

    def _step(self, batches: list[PretrainBatch], running: Running) -> None:
        """One optimizer step over the batches of one accumulation."""
        recipe, progress = self.recipe, self.progress
        # dropout, exact after a resume
        torch.manual_seed((recipe.seed * 1_000_003 + progress.step) % 2**63)
        predictions = sum(len(batch.predicted_tokens) for batch in batches)
        sentences = sum(int((batch.sentence_labels >= 0).sum()) for batch in batches)
        for batch in batches:
            sums = losses(self.model, *to_device(batch, self.device))
            loss = sums.mlm / predictions
            if sentences:
                loss = loss + recipe.sentence_weight * sums.sentence / sentences
            loss.backward()
            for index, value in enumerate(
                (sums.mlm, sums.mlm_right, sums.sentence, sums.sentence_right)
            ):
                running.sums[index] = running.sums[index] + value.detach()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), recipe.clip)
        running.sums[4] = running.sums[4] + norm
        factor = rate_factor(min(1.0, progress.share(recipe)), recipe.warmup)
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        running.predictions += predictions
        running.sentences += sentences
        running.steps += 1
        running.tokens += recipe.batch_tokens * len(batches)

    def _log_step(self, running: Running) -> None:
        values = running.means()
        if not all(map(math.isfinite, values.values())):
            raise self._diverged()
        progress = self.progress
        self._say(
            "step",
            step=progress.step,
            tokens=progress.tokens,
            seconds=progress.seconds,
            share=progress.share(self.recipe),
            rate_factor=rate_factor(min(1.0, progress.share(self.recipe)), self.recipe.warmup),
            **values,
        )

    def _evaluate(self, last: bool = False) -> None:
        if self.valid is None:
            return
        self.last_evaluation = evaluate(
            self.model,
            self.valid,
            limit=self.recipe.evaluation_batches * (LAST_EVALUATION if last else 1),
            device=self.device,
            unigram=self.unigram,
        )
        self._say(
            "evaluation",
            step=self.progress.step,
            tokens=self.progress.tokens,
            seconds=self.progress.seconds,
            last=last,
            **self.last_evaluation.asdict(),
        )

    def _checkpoint(self) -> None:
        if self.progress.step == self.saved_step:
            return
        # nothing can go on from such weights, and they would push out those before
        if not all(bool(weight.isfinite().all()) for weight in self.model.parameters()):
            raise self._diverged()
        path = save_checkpoint(
            self.settings.output / "checkpoints",
            model=self.model,
            optimizers=self.optimizers,
            state={**vars(self.progress), "recipe": self.recipe.to_yaml()},
            keep=self.settings.keep_checkpoints,
        )
        self.saved_step = self.progress.step
        self._say("checkpoint", step=self.progress.step, path=path.name)

    def _diverged(self) -> InputError:
        where = f"loss or weights are not finite near step {self.progress.step}"
        return InputError(f"{where}: start again with a lower lr or muon_lr")

    def _advise_on_rate(self) -> None:
        recipe = self.recipe
        if recipe.optimizer == "lamb":
            sequences = recipe.batch_tokens * recipe.accumulation / recipe.max_length
            if advice := rate_advice(recipe.lr, sequences=sequences):
                self.watch("warning", {"message": advice})

    def _resume(self) -> int:
        checkpoints = self.settings.output / "checkpoints"
        if not any(checkpoints.glob("step-*")):  # killed before the first one
            return 0
        state, warnings = load_newest_checkpoint(
            checkpoints, model=self.model, optimizers=self.optimizers
        )
        for warning in warnings:
            self.watch("warning", {"message": warning})
        recipe = state.pop("recipe")
        if recipe != self.recipe.to_yaml():
            raise InputError(
                f"{self.settings.output} was started with another recipe: resume with its own "
                f"recipe.yaml, or choose another --output"
            )
        self.progress = replace(self.progress, **state)
        self.model.compute_dtype = getattr(torch, self.progress.precision)
        self.saved_step = self.progress.step
        return self.progress.step

    def _say(self, event: str, **values: object) -> None:
        self.log.write(event, **values)
        self.watch(event, values)

    @contextmanager
    def _stopping_on_signals(self) -> Iterator[None]:
        """Turn the first Ctrl-C or SIGTERM into "finish this step, save, stop"."""

        def stop(number: int, frame: object) -> None:
            if self.stop_signal is not None:
                raise KeyboardInterrupt
            self.stop_signal = number

        before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
