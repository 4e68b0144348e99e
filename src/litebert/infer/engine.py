"""The engine: one prepared model, and texts in; vectors, answers or words for [MASK] out.

    engine = litebert.Engine.load("runs/sst2")
    engine.predict(["a fine film", "a waste of time"])

Weights are cast once when it is loaded, texts of like length go together, and nothing is padded.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch

from litebert.errors import InputError
from litebert.hardware import choose_device
from litebert.infer.early import EarlyAnswers
from litebert.infer.fill_mask import MaskAnswer, fill_mask
from litebert.infer.predict import predict
from litebert.infer.prepare import Precision, arithmetic_of, prepare
from litebert.interop.load import SENTENCE_WEIGHTS, load, model_directory, tokenizer_of
from litebert.interop.task_models import FineTuned, is_task_model, load_task_model
from litebert.model.encoder import Model
from litebert.model.windows import Windows
from litebert.tasks.answering import BATCH_TOKENS
from litebert.tasks.columns import Columns
from litebert.tasks.custom import examples_of
from litebert.tasks.problems import Problems
from litebert.tasks.units import batches_by_length, packed_of, sequence_of
from litebert.text.tokenizer import Tokenizer

Pooling = Literal["mean", "first", "pooled"]
Text = str | tuple[str, str] | Mapping[str, Any]
"""A text, a pair, or the columns of a row: {"question": ..., "context": ...}."""


class Engine:
    """A model that answers, prepared once: `Engine.load` makes one."""

    def __init__(
        self,
        model: Model,
        tokenizer: Tokenizer,
        *,
        tuned: FineTuned | None = None,
        precision: Precision = "auto",
        source: str | Path | None = None,
    ):
        """`model`, loaded from `source`, is used up: `prepare` makes another, for `tuned` too."""
        self.tokenizer, self.tuned = tokenizer, tuned
        self._source = source
        self.model = prepare(model, precision, source=source)
        self.precision = arithmetic_of(self.model)
        if tuned:
            tuned.model.eval().encoder = self.model

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("an engine is neither pickled nor copied: load one in each process")

    @classmethod
    def load(
        cls,
        path: str | Path,
        *,
        precision: Precision = "auto",
        device: str = "auto",
        windows: Windows | None = None,
        positions: int | None = None,
    ) -> "Engine":
        """The engine of a run, a directory or a hub id, pretrained or fine-tuned.

        `precision` is the arithmetic of dense layers: bf16, fp32, the faster of the two here, or
        int8, which rounds weights and what they are multiplied with (docs/answers.md has the
        error). Elsewhere numbers stay fp32 on CPUs.
        For documents longer than the model was made for, `positions` repeats its positions up to
        so many and `windows` lets tokens attend to their neighbours; both change what it computes.
        Raises InputError for what cannot be loaded.
        """
        if precision not in get_args(Precision):
            # said before minutes of loading
            names = ", ".join(get_args(Precision))
            raise InputError(f"precision={precision!r}: one of {names}")
        place = model_directory(path)
        tuned = load_task_model(place) if is_task_model(path) else None
        if tuned and (windows or positions):
            raise InputError(f"{path}: windows and positions are for models without a task")
        model = tuned.model.encoder if tuned else load(path, allow=SENTENCE_WEIGHTS)
        chosen = choose_device(device)
        (tuned.model if tuned else model).to(chosen)
        model.windows = windows
        if positions is not None:
            model.extend_positions(positions)
        tokenizer = tuned.tokenizer if tuned else tokenizer_of(path)
        return cls(model, tokenizer, tuned=tuned, precision=precision, source=place)

    @torch.inference_mode()
    def embed(
        self,
        texts: Sequence[str],
        *,
        depth: int | None = None,
        pooling: Pooling = "mean",
        normalise: bool = True,
    ) -> np.ndarray:
        """A vector for every text: (N, H) float32, in order.

        "mean" is the mean of the hidden states of all tokens, "first" that of [CLS], "pooled" the
        pooler's output. With `normalise` vectors have length 1, so that their products are cosines.
        Texts longer than the model reads are cut, with a warning. Raises InputError for "pooled"
        of a model that was saved without its pooler, and for what is no text.
        """
        _check_several(texts)
        if pooling not in get_args(Pooling):
            raise InputError(f"pooling={pooling!r}: one of {', '.join(get_args(Pooling))}")
        for number, text in enumerate(texts, 1):
            if not isinstance(text, str):
                raise InputError(f"text {number}: {text!r}: give a text")
        if pooling == "pooled":
            self._check_weights("pooler", "pooling=pooled")
        room = self.model.config.max_positions - 2
        encoded = self.tokenizer.encode_batch(list(texts))
        if cut := sum(len(ids) > room for ids in encoded):
            warnings.warn(f"{cut} texts are cut to {room + 2} tokens", stacklevel=3)
        sequences = [sequence_of(self.tokenizer, ids[:room]) for ids in encoded]
        vectors = np.zeros((len(sequences), self.model.config.hidden_size), np.float32)
        sizes = [len(sequence.tokens) for sequence in sequences]
        device = self.model.embeddings.tokens.weight.device
        for batch in batches_by_length(sizes, limit=BATCH_TOKENS):
            packed = packed_of([sequences[number] for number in batch])
            # where first tokens are enough the last layer needs no other
            wanted = None if pooling == "mean" else packed.offsets[:-1].to(device)
            out = self.model(packed.to(device), depth, wanted=wanted)
            # by NumPy: PyTorch's threads would still wait for work when the next batch begins
            rows = (out.pooled if pooling == "pooled" else out.hidden).float().cpu().numpy()
            if pooling == "mean":
                offsets = packed.offsets.numpy()
                rows = np.add.reduceat(rows, offsets[:-1], axis=0) / np.diff(offsets)[:, None]
            vectors[batch] = rows
        if normalise:
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True).clip(1e-12)
        return vectors

    def predict(
        self, texts: Sequence[Text], *, depth: int | None = None, early: bool = False
    ) -> list[dict[str, Any]]:
        """What the fine-tuned model says of every text, as `litebert predict` says it.

        Rows name their texts as `text` and `second`, `question` and `context`, `words`, and so on
        (tasks/columns.py). `depth` runs another number of layers. With `early` answers are given as
        soon as the model is sure, by what `litebert exits` calibrated, and say after how many
        `layers`. Threads may ask one engine. Raises InputError for a model without a task, for a
        row that cannot be answered, and for `early` where nothing was calibrated for these weights
        in this arithmetic.
        """
        if self.tuned is None:
            raise InputError("the model is not fine-tuned for a task: litebert finetune makes one")
        if early and depth is not None:
            raise InputError("depth and early exclude each other: give one")
        _check_several(texts)
        kind, problems = self.tuned.kind, Problems()
        places = [f"text {number}" for number in range(1, len(texts) + 1)]
        rows = [(place, _row(place, text)) for place, text in zip(places, texts, strict=True)]
        pairs = any("second" in values for _, values in rows)
        columns = Columns(second="second") if pairs else Columns()
        examples = list(
            examples_of(rows, kind.kind, columns, problems, labels=kind.labels, labelled=False)
        )
        if len(examples) < len(rows):
            # nobody gets fewer answers than texts
            raise InputError("; ".join(problems.firsts()))
        how = self._early if early else None
        lines = list(predict(self.tuned, examples, problems, depth=depth, early=how))
        for line in problems.lines():
            warnings.warn(line, stacklevel=2)
        return lines

    def fill_mask(self, text: str, *, top: int = 5, depth: int | None = None) -> list[MaskAnswer]:
        """The likeliest pieces for every [MASK] of a text: see infer.fill_mask.

        Raises InputError also for a model that was saved without its masked-LM head, as fine-tuned
        ones are.
        """
        self._check_weights("mlm_head", "fill_mask")
        if not isinstance(text, str):
            raise InputError(f"{text!r}: give a text")
        return fill_mask(self.model, self.tokenizer, text, top=top, depth=depth)

    @cached_property
    def _early(self) -> EarlyAnswers:
        assert self.tuned is not None
        if self._source is None:
            raise InputError("early answers lie beside a model's weights: take Engine.load")
        return EarlyAnswers(self.tuned, self._source)

    def _check_weights(self, part: str, what: str) -> None:
        if any(name.startswith(f"{part}.") for name in self.model.fresh_weights):
            raise InputError(f"{what}: the model was saved without its {part}: take another model")


def _check_several(texts: Sequence[Text]) -> None:
    if isinstance(texts, (str, Mapping)):
        raise InputError("give a list of texts: one text is [text]")


def _row(place: str, text: Text) -> dict[str, Any]:
    if isinstance(text, str):
        return {"text": text}
    if isinstance(text, Mapping):
        return dict(text)
    pair = isinstance(text, (tuple, list)) and len(text) == 2
    if not pair or not all(isinstance(part, str) for part in text):
        raise InputError(
            f"{place}: {text!r}: give a text, a pair of texts, or a mapping of columns"
        )
    return dict(zip(("text", "second"), text, strict=True))
