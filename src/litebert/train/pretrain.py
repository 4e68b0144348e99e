"""The pretraining run: batches in, optimizer steps, evaluations, checkpoints, a model out.

Batch k and the dropout in it are functions of the seed, so a run goes on after a kill exactly where
its newest checkpoint stands, and ends with the weights of an undisturbed run; on any number of
ranks it takes the same steps over the same batches.
"""

import itertools
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from litebert.errors import DivergenceError, InputError
from litebert.hardware import choose_device, choose_dtype, product_ceiling
from litebert.model.encoder import Model
from litebert.text.batches import Batches, stream
from litebert.text.pretrain_batch import PretrainBatch
from litebert.text.remote_shards import local_shards
from litebert.text.shards import Shards
from litebert.text.tokenizer import Tokenizer, load_tokenizer
from litebert.train.copies import copies_of
from litebert.train.distributed import Ranks, check_division
from litebert.train.evaluation import Evaluation, evaluate, held_out_batches, unigram_surprisal
from litebert.train.events import EventLog
from litebert.train.nonfinite import NonFiniteSteps
from litebert.train.optimizer import build_optimizers
from litebert.train.progress import Progress, Running
from litebert.train.provenance import provenance
from litebert.train.recipe import PretrainRecipe, RunSettings
from litebert.train.saving import Saving
from litebert.train.schedule import rate_advice, rate_factor
from litebert.train.start import keep_freed_memory, open_shards, start_model
from litebert.train.step import StepResult, TrainingStep
from litebert.train.stopping import StopRequest
from litebert.train.utilisation import Utilisation

# The last evaluation looks at this many times the batches of those during the run.
LAST_EVALUATION = 10


class Pretraining:
    """One run of a recipe; `run()` does all of it.

    `watch` is called with every event as it is logged, which is how a progress bar follows; on the
    first rank only.
    """

    def __init__(
        self,
        recipe: PretrainRecipe,
        settings: RunSettings,
        *,
        watch: Callable[[str, dict], None] = lambda event, values: None,
        device: torch.device | None = None,
        ranks: Ranks = Ranks(),  # noqa: B008  (frozen)
    ):
        self.recipe, self.settings, self.watch, self.ranks = recipe, settings, watch, ranks
        check_division(recipe.accumulation, ranks)
        keep_freed_memory()
        self.device = device or choose_device(settings.device)
        data = local_shards(recipe.data)
        self.tokenizer: Tokenizer = load_tokenizer(Shards.open(data).tokenizer_path)
        shards = open_shards(data, self.tokenizer)
        word_starts = self.tokenizer.word_starts()
        self.batches = Batches(shards, word_starts=word_starts, settings=recipe)
        self.unigram = unigram_surprisal(shards)
        self.valid = None
        if recipe.valid is not None:
            self.valid = held_out_batches(
                open_shards(local_shards(recipe.valid), self.tokenizer), recipe
            )
        self.model: Model = start_model(recipe, surprisal=self.unigram)
        if recipe.depth_stages and self.model.config.sharing != "all":
            raise InputError(
                f"depth_stages are for models that share all their layers, and {recipe.model} "
                f"does not: give depth_stages=[]"
            )
        self.model.to(self.device).train()
        self.model.compute_dtype = choose_dtype(recipe.precision, self.device)
        self.model.recompute = settings.recompute
        self.optimizers = build_optimizers(self.model, recipe)
        self.progress = Progress(precision=str(self.model.compute_dtype).removeprefix("torch."))
        self.saving = Saving(
            settings.output / "checkpoints",
            model=self.model,
            optimizers=self.optimizers,
            progress=self.progress,
            recipe=recipe.to_yaml(),
            ranks=ranks,
            keep=settings.keep_checkpoints,
            copies=copies_of(settings) if ranks.first else None,
            on_saved=self._log_checkpoint,
            on_warning=self._warn,
        )
        self.not_finite = NonFiniteSteps()
        self.depth = self.model.config.depth
        self.stop = StopRequest()
        self.stopped = False
        self.last_evaluation: Evaluation | None = None
        self.log: EventLog | None = None

    def run(self) -> Progress:
        """Train until the budget is used up or a signal asks to stop; the last state is saved."""
        resumed = self.settings.resume
        if resumed:
            self.saving.restore()
        else:
            self.saving.give_to_all()
        self.model.compute_dtype = getattr(torch, self.progress.precision)
        if self.ranks.first:
            self.log = EventLog(
                self.settings.output,
                tensorboard=self.settings.tensorboard,
                resume_step=self.progress.step if resumed else None,
            )
        self.utilisation = self._measure_ceiling()
        self._say(
            "resume" if resumed else "start",
            step=self.progress.step,
            model=self.recipe.model,
            parameters=sum(p.numel() for p in self.model.parameters()),
            precision=self.progress.precision,
            device=str(self.device),
            threads=torch.get_num_threads(),
            ranks=self.ranks.size,
            flops_per_token=self.utilisation.flops_per_token(self.model.config.depth),
            ceiling=self.utilisation.ceiling,
            config=asdict(self.model.config),
            **provenance(self.device),
        )
        self._advise_on_rate()
        with self.stop:
            self._train()
        if not self.stopped:
            self._evaluate(last=True)
        self.saving.save(last=True)
        self._say("end", step=self.progress.step, finished=not self.stopped)
        if self.log is not None:
            self.log.close()
        return self.progress

    @property
    def stop_signal(self) -> int | None:
        """The signal that stopped the run on any rank; None for a run that went to its end.

        One that came after the last step of all ranks had nothing left to stop.
        """
        return (self.stop.signal or signal.SIGTERM) if self.stopped else None

    def _train(self) -> None:
        recipe, progress = self.recipe, self.progress
        clock = time.perf_counter() - progress.seconds
        step = TrainingStep(self.model, self.optimizers, recipe, self.ranks)
        saved_at, running = time.perf_counter(), Running()
        for batches in self._batches_of_steps():
            if self._is_over():
                break
            share = min(1.0, progress.share(recipe))
            self.depth = recipe.depth_at(share, full=self.model.config.depth)
            factor = rate_factor(share, recipe.warmup)
            result = step.take(batches, rate_factor=factor, depth=self.depth)
            progress.drawn += 1
            if not result.finite:
                self._after_not_finite(result)
                continue
            self.not_finite.went_well()
            progress.step += 1
            progress.tokens += recipe.batch_tokens * recipe.accumulation
            progress.seconds = time.perf_counter() - clock
            running.add(result, tokens=recipe.batch_tokens * recipe.accumulation)
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
                self.saving.save()
                saved_at, running = time.perf_counter(), Running()
            self.saving.follow_up()

    def _is_over(self) -> bool:
        """Whether to stop before the next step; all ranks agree on it and on the time."""
        progress, first = self.progress, self.ranks.first
        seconds, stops = self.ranks.total([progress.seconds if first else 0.0, bool(self.stop)])
        progress.seconds = seconds
        self.stopped = bool(stops)
        return self.stopped or progress.share(self.recipe) >= 1

    def _batches_of_steps(self) -> Iterator[list[tuple[int, PretrainBatch]]]:
        """This rank's batches of each step in turn, with their numbers."""
        size = self.recipe.accumulation
        groups = (
            self.ranks.share(range(first, first + size))
            for first in itertools.count(self.progress.drawn * size, size)
        )
        groups, ahead = itertools.tee(groups)
        numbers = itertools.chain.from_iterable(ahead)
        batches = stream(self.batches, numbers, workers=self.settings.workers)
        for group in groups:
            yield [(number, next(batches)) for number in group]

    def _after_not_finite(self, result: StepResult) -> None:
        """Pass over the batches of a step that was not taken, go back, or give up; on all ranks."""
        progress, size = self.progress, self.recipe.accumulation
        first = (progress.drawn - 1) * size
        decision = self.not_finite.decide()
        self._say(
            "not finite",
            step=progress.step,
            batches=[first, first + size - 1],
            mlm_loss=str(result.mlm / result.predictions),
            gradient_norm=str(result.gradient_norm),
            decision=decision,
        )
        batches = f"batch {first}" if size == 1 else f"batches {first} to {first + size - 1}"
        what = f"loss or gradient is not finite after step {progress.step}, at {batches}"
        if decision == "pass over":
            self._warn(f"{what}: no update, going on with the next")
            return
        drawn, seconds = progress.drawn, progress.seconds
        if decision == "stop" or not self.saving.restore():
            raise DivergenceError(
                f"{what}, again and again: start again with a lower lr or muon_lr"
            )
        # the clock does not go back, and the batches that led here are not asked again
        progress.drawn, progress.seconds = drawn, seconds
        self._warn(f"{what}: back to step {progress.step}, going on with the batches after those")

    def _measure_ceiling(self) -> Utilisation:
        rate = product_ceiling(self.device, self.model.compute_dtype)
        return Utilisation(
            self.model.config,
            lengths=np.diff(self.batches.batch(0).offsets),
            mask_rate=self.recipe.predictions / self.recipe.batch_tokens,
            ceiling=self.ranks.size * rate,
        )

    def _log_step(self, running: Running) -> None:
        progress, means = self.progress, running.means()
        self._say(
            "step",
            step=progress.step,
            tokens=progress.tokens,
            seconds=progress.seconds,
            share=progress.share(self.recipe),
            rate_factor=rate_factor(min(1.0, progress.share(self.recipe)), self.recipe.warmup),
            utilisation=self.utilisation.at(means["tokens_per_second"], depth=self.depth),
            **means,
        )

    def _evaluate(self, last: bool = False) -> None:
        if self.valid is None:
            return
        # at the depth that was trained: a stage knows nothing of the next one
        depth = self.model.config.depth if last else self.depth
        self.last_evaluation = evaluate(
            self.model,
            self.valid,
            limit=self.recipe.evaluation_batches * (LAST_EVALUATION if last else 1),
            device=self.device,
            unigram=self.unigram,
            depth=depth,
            ranks=self.ranks,
        )
        self._say(
            "evaluation",
            step=self.progress.step,
            tokens=self.progress.tokens,
            seconds=self.progress.seconds,
            last=last,
            depth=depth,
            **self.last_evaluation.asdict(),
        )

    def _log_checkpoint(self, path: Path) -> None:
        self._say("checkpoint", step=int(path.name.removeprefix("step-")), path=path.name)

    def _advise_on_rate(self) -> None:
        recipe = self.recipe
        if recipe.optimizer == "lamb":
            sequences = recipe.batch_tokens * recipe.accumulation / recipe.max_length
            if advice := rate_advice(recipe.lr, sequences=sequences):
                self._warn(advice)

    def _warn(self, message: str) -> None:
        if self.ranks.first:
            self.watch("warning", {"message": message})

    def _say(self, event: str, **values: object) -> None:
        if self.log is not None:
            self.log.write(event, **values)
            self.watch(event, values)
