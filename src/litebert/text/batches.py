"""Batches made on the fly: batch k is a pure function of (shards, settings, k), and of NumPy.

The corpus is cut into windows of one sequence's length; a keyed permutation orders the windows of
an epoch, and each gives one instance. No table, no state: resuming needs the integer k, and neither
workers nor machines can change a batch. Packed: exactly T tokens and P predictions, no padding.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch.utils.data

from litebert.errors import InputError
from litebert.text.batch_settings import BatchSettings
from litebert.text.both_orders import add_other_orders
from litebert.text.masking import choose_positions, corrupt, find_words, sequence_budgets
from litebert.text.pairs import Instance, InstanceMaker
from litebert.text.permutation import ROUNDS, permute
from litebert.text.pretrain_batch import PretrainBatch

__all__ = ["BatchSettings", "Batches", "stream"]

if TYPE_CHECKING:
    from litebert.text.shards import Shards

# Remainders of a batch below this many tokens are taken from the sequence before.
_SHORTEST_REST = 16
# The last word of the Philox counter: streams that can never meet.
_BATCH_STREAM, _EPOCH_STREAM = 0, 1


class Batches:
    """The batches of a run by number: `batch(k)` for any k >= 0, in any order, on any machine."""

    def __init__(
        self, shards: "Shards", *, word_starts: np.ndarray, settings: BatchSettings
    ) -> None:
        """`word_starts` (V,) bool comes from the tokenizer that made the shards."""
        if len(word_starts) != shards.vocab_size:
            raise InputError(
                f"the tokenizer has {len(word_starts)} entries and the shards were made with "
                f"{shards.vocab_size}: use the tokenizer stored with the shards"
            )
        self.settings = settings
        # what is drawn: half a batch when its other half are the same pairs swapped
        self._drawn = settings
        if settings.both_orders:
            half = settings.batch_tokens // 2
            self._drawn = replace(settings, both_orders=False, batch_tokens=half)
        self._shards = shards
        self._word_starts = np.asarray(word_starts, bool)
        self._vocab_size = shards.vocab_size
        self._special = shards.special
        self._tokens = [np.asarray(shard.tokens) for shard in shards.shards]
        self._maker = InstanceMaker(
            shards,
            word_starts=self._word_starts,
            objective=settings.objective,
            sop_negatives=settings.sop_negatives,
        )
        if not self._maker.total_tokens:
            raise InputError("the shards hold no tokens: prepare a corpus that has text")
        if self._maker.total_documents < 2 and (
            settings.objective == "mlm+nsp" or settings.sop_negatives == "google"
        ):
            raise InputError(
                "negatives from another document need two documents and the shards hold one: "
                "separate documents by empty lines, or choose objective=mlm+sop or mlm"
            )

    def __reduce__(self) -> tuple[Any, ...]:
        """What a worker process is sent: the shards by their path, and no view of their arrays."""
        make = partial(Batches, word_starts=self._word_starts, settings=self.settings)
        return make, (self._shards,)

    @property
    def windows(self) -> int:
        """Windows in an epoch: the corpus divided by the text length of a sequence."""
        return max(1, self._maker.total_tokens // self._drawn.content_length)

    @property
    def num_batches(self) -> int:
        """Batches in an epoch; batch(k) goes on into further epochs beyond it."""
        return -(-self.windows // self._drawn.windows_per_batch)

    def instances(self, k: int) -> list[Instance]:
        """Name the sequences of batch k by their token ranges in the corpus."""
        return self._instances(k, _stream(self._drawn.seed, k, _BATCH_STREAM))

    def batch(self, k: int) -> PretrainBatch:
        """Make batch k: T tokens, P predictions, the same on every call and machine."""
        settings = self._drawn
        rng = _stream(settings.seed, k, _BATCH_STREAM)
        packed = self._pack(self._instances(k, rng))
        tokens, parts, offsets = packed["tokens"], packed.pop("parts"), packed["offsets"]
        text_lengths = np.add.reduceat(parts >= 0, offsets[:-1], dtype=np.int64)
        budgets = sequence_budgets(
            offsets, predictions=settings.predictions, text_lengths=text_lengths
        )
        predicted = choose_positions(
            find_words(tokens, parts, word_starts=self._word_starts),
            offsets=offsets,
            budgets=budgets,
            max_ngram=settings.max_ngram,
            rng=rng,
        )
        packed["predicted_tokens"] = tokens[predicted]
        packed["tokens"] = corrupt(
            tokens,
            predicted,
            mask_id=self._special["mask"],
            vocab_size=self._vocab_size,
            rng=rng,
        )
        made = PretrainBatch(**packed, predicted_positions=predicted)
        return add_other_orders(made) if self.settings.both_orders else made

    def _anchors(self, k: int) -> list[int]:
        """The tokens that the windows of batch k begin at, counted over all shards."""
        settings, count = self._drawn, self._drawn.windows_per_batch
        index = k * count + np.arange(count)
        epochs, windows = np.divmod(index, self.windows)
        if settings.order == "sequential":
            return (windows * settings.content_length).tolist()
        anchors = np.empty_like(windows)
        for epoch in np.unique(epochs).tolist():
            rng = _stream(settings.seed, epoch, _EPOCH_STREAM)
            keys = rng.integers(0, 2**64, ROUNDS, dtype=np.uint64)
            offset = int(rng.integers(self._maker.total_tokens))
            now = epochs == epoch
            shuffled = permute(windows[now], size=self.windows, keys=keys)
            anchors[now] = shuffled * settings.content_length + offset
        return (anchors % self._maker.total_tokens).tolist()

    def _instances(self, k: int, rng: np.random.Generator) -> list[Instance]:
        """Instances of the windows, then of random anchors, until they are T tokens together."""
        settings, maker = self._drawn, self._maker
        short = settings.short_sequence_probability if settings.order == "shuffled" else 0.0
        anchors = iter(self._anchors(k))
        instances: list[Instance] = []
        room = settings.batch_tokens
        while room:
            anchor = next(anchors, None)
            if anchor is None:
                anchor = int(rng.random() * maker.total_tokens)
            content = settings.content_length
            # The end of a batch makes short sequences by itself.
            if rng.random() < short and room > settings.max_length:
                content = 2 + int(rng.random() * (content - 1))
            instance = maker.make(anchor, content=content, rng=rng)
            rest = min(_SHORTEST_REST, room // 2) if room >= 6 else 0
            if instance.length > room:
                instance = maker.trim(instance, length=room, rng=rng)
            elif room - rest < instance.length < room:
                instance = maker.trim(instance, length=room - rest, rng=rng)
            instances.append(instance)
            room -= min(room, instance.length)
        return instances

    def _pack(self, instances: list[Instance]) -> dict[str, np.ndarray]:
        """Lay instances end to end, `[CLS] A [SEP]` or `[CLS] A [SEP] B [SEP]`."""
        T = self._drawn.batch_tokens
        offsets = np.zeros(len(instances) + 1, np.int64)
        np.cumsum([instance.length for instance in instances], out=offsets[1:])
        # A last room of one token, left by a corpus of tiny documents, holds a bare [CLS].
        offsets[-1] = T
        tokens = np.full(T, self._special["sep"], np.int64)
        tokens[offsets[:-1]] = self._special["cls"]
        parts = np.full(T, -1, np.int64)
        segments = np.zeros(T, np.int64)
        at = 0
        for number, (first, second, _) in enumerate(instances):
            stop = at + 1 + first.length
            tokens[at + 1 : stop] = self._tokens[first.shard][first.start : first.stop]
            parts[at + 1 : stop] = 2 * number
            at = stop + 1
            if second is not None:
                stop = at + second.length
                tokens[at:stop] = self._tokens[second.shard][second.start : second.stop]
                parts[at:stop] = 2 * number + 1
                segments[at : stop + 1] = 1
                at = stop + 1
        return {
            "tokens": tokens,
            "positions": np.arange(T) - np.repeat(offsets[:-1], np.diff(offsets)),
            "segments": segments,
            "offsets": offsets,
            "sentence_labels": np.array([instance.label for instance in instances], np.int64),
            "parts": parts,
        }


def _stream(seed: int, number: int, purpose: int) -> np.random.Generator:
    """The random numbers of (seed, number): Philox is a function of key and counter alone."""
    return np.random.Generator(
        np.random.Philox(key=np.array([seed, number], np.uint64), counter=[0, 0, 0, purpose])
    )


class _ByNumber(torch.utils.data.Dataset[PretrainBatch]):
    """What DataLoader asks for: item k is batch k."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches

    def __getitem__(self, k: int) -> PretrainBatch:
        return self._batches.batch(k)


def _as_is(batch: Any) -> Any:
    return batch


def stream(
    batches: Batches, numbers: Iterable[int], *, workers: int = 0
) -> Iterator[PretrainBatch]:
    """The batches of some numbers, in that order, made ahead by worker processes if there are any.

    `numbers` may be endless, and is read a few batches ahead.
    """
    loader = torch.utils.data.DataLoader(
        _ByNumber(batches),
        sampler=numbers,
        batch_size=None,
        num_workers=workers,
        collate_fn=_as_is,
        prefetch_factor=4 if workers else None,
    )
    return iter(loader)
