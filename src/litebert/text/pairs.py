"""Instances: which tokens of a prepared corpus make one training sequence, and its order label.

An instance is named by token ranges, no token is read beyond what finds a word start. Lan et al.
2020 (arXiv 1909.11942) section 3.1; Google's `create_instances_from_document` is the ancestor, and
where this differs (no cross-document negatives, no truncation of what fits, ties by coin, a cut
that sees every token) the reason stands beside the code.
"""

from bisect import bisect_right
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from litebert.text.shards import Shards

Objective = Literal["mlm", "mlm+sop", "mlm+nsp"]
SopNegatives = Literal["in_document", "google"]

IN_ORDER, NOT_IN_ORDER, NO_PAIR = 0, 1, -1

_TRIES = 16  # random tokens looked at for a B of another document
_LONGEST_WORD = 64  # pieces looked back over for the start of a word


class Span(NamedTuple):
    """Tokens start..stop-1 of one shard, always inside one document."""

    shard: int
    start: int
    stop: int

    @property
    def length(self) -> int:
        return self.stop - self.start


class Instance(NamedTuple):
    """One sequence: `[CLS] first [SEP]` or `[CLS] first [SEP] second [SEP]`, and its label."""

    first: Span
    second: Span | None
    label: int
    """0 in order / next, 1 swapped / random, -1 no pair."""

    @property
    def length(self) -> int:
        """Tokens with specials."""
        if self.second is None:
            return self.first.length + 2
        return self.first.length + self.second.length + 3


class _Place(NamedTuple):
    """Where an anchor token lies; segments are numbered within the shard."""

    shard: int
    segment: int
    low: int
    """First segment of the document."""
    high: int
    """One past its last segment."""


class InstanceMaker:
    """Makes the instance at an anchor token; holds offsets of shards, nothing per segment.

    Documents never mix in one instance, save where the objective asks for a B from elsewhere.
    """

    def __init__(
        self,
        shards: "Shards",
        *,
        word_starts: np.ndarray,
        objective: Objective,
        sop_negatives: SopNegatives = "in_document",
    ) -> None:
        # Plain views: indexing an np.memmap costs a multiple of indexing an array.
        self._tokens = [np.asarray(shard.tokens) for shard in shards.shards]
        self._segments = [np.asarray(shard.segments) for shard in shards.shards]
        self._paragraphs = [np.asarray(shard.paragraphs) for shard in shards.shards]
        self._documents = [np.asarray(shard.documents) for shard in shards.shards]
        self._word_starts = word_starts
        self._objective = objective
        self._google = sop_negatives == "google"
        self._token_starts = [0, *np.cumsum([len(t) for t in self._tokens]).tolist()]
        self._document_starts = [0, *np.cumsum([len(d) - 1 for d in self._documents]).tolist()]
        self.total_tokens: int = self._token_starts[-1]
        self.total_documents: int = self._document_starts[-1]

    def make(self, anchor: int, *, content: int, rng: np.random.Generator) -> Instance:
        """Build the instance around one token of the corpus, at most `content` tokens + specials.

        `anchor` counts tokens over all shards in order.
        """
        place = self._locate(anchor)
        if self._objective == "mlm":
            return Instance(self._single(place, content, rng), None, NO_PAIR)
        if self._google:
            return self._google_sop(place, content, rng)
        if place.high - place.low < 2:
            # Order needs two real segments, and half a segment against its other half is a
            # different, easier question; such a document still serves masked-token prediction.
            return Instance(self._single(place, content, rng), None, NO_PAIR)
        if self._objective == "mlm+nsp":
            return self._nsp(place, content, rng)
        return self._in_either_order(*self._pair(place, content, rng), rng)

    def trim(self, instance: Instance, *, length: int, rng: np.random.Generator) -> Instance:
        """Cut to `length` tokens with specials; under 5 no pair is left, under 3 no text."""
        if instance.length <= length:
            return instance
        if instance.second is not None and length >= 5:
            first, second = self._fit(instance.first, instance.second, length - 3, rng)
            return Instance(first, second, instance.label)
        return Instance(self._cut(instance.first, max(0, length - 2), rng), None, NO_PAIR)

    def _locate(self, anchor: int) -> _Place:
        shard = bisect_right(self._token_starts, anchor) - 1
        segments, documents = self._segments[shard], self._documents[shard]
        token = anchor - self._token_starts[shard]
        segment = int(segments.searchsorted(token, "right")) - 1
        document = int(documents.searchsorted(segment, "right")) - 1
        return _Place(shard, segment, int(documents[document]), int(documents[document + 1]))

    def _span(self, shard: int, first: int, last: int) -> Span:
        segments = self._segments[shard]
        return Span(shard, int(segments[first]), int(segments[last]))

    def _forward(self, place: _Place, content: int) -> int:
        """One past the last whole segment that fits from the place's on, within the document."""
        segments = self._segments[place.shard]
        last = int(segments.searchsorted(segments[place.segment] + content, "right")) - 1
        return min(last, place.high)

    def _backward(self, place: _Place, content: int) -> int:
        """The first whole segment that fits when filling up to the end of the place's."""
        segments = self._segments[place.shard]
        first = int(segments.searchsorted(segments[place.segment + 1] - content, "left"))
        return max(first, place.low)

    def _around(self, place: _Place, content: int, rng: np.random.Generator) -> tuple[int, int]:
        """Whole segments first..last-1 around the place's that fit; that one if it is too long.

        An anchor hits long segments more often than short ones, so always growing forward would
        make the earlier part of a pair the longer one, and the beginnings of documents rare. So
        growth begins in a direction drawn by coin and takes from the other what room is left.
        """
        segments, here = self._segments[place.shard], place.segment
        if segments[here + 1] - segments[here] > content:
            return here, here + 1
        if rng.random() < 0.5:
            last = self._forward(place, content)
            return self._backward(place._replace(segment=last - 1), content), last
        first = self._backward(place, content)
        return first, self._forward(place._replace(segment=first), content)

    def _from_paragraph(
        self, place: _Place, content: int, rng: np.random.Generator
    ) -> tuple[int, int]:
        """Whole segments from a paragraph's start to the anchor's and on, or around a deeper one.

        Pairs that begin anywhere are nearly symmetric in time: a linear probe of their words tells
        the order of 51.2 % on held-out text, of 56.9 % with this rule (LOG.md, 2026-11-22). Of the
        starts in reach it is the earliest: anchors hit long paragraphs more often, so the start of
        the anchor's own would make the earlier part the longer one.
        """
        paragraphs = self._paragraphs[place.shard]
        first = int(paragraphs[paragraphs.searchsorted(self._backward(place, content))])
        if first > place.segment:
            return self._around(place, content, rng)
        return first, self._forward(place._replace(segment=first), content)

    def _single(self, place: _Place, content: int, rng: np.random.Generator) -> Span:
        return self._cut(self._span(place.shard, *self._around(place, content, rng)), content, rng)

    def _run(self, place: _Place, content: int, rng: np.random.Generator) -> Span:
        """Whole segments from the place's on while they fit, or a part of it if it is too long."""
        last = max(self._forward(place, content), place.segment + 1)
        return self._cut(self._span(place.shard, place.segment, last), content, rng)

    def _pair(self, place: _Place, content: int, rng: np.random.Generator) -> tuple[Span, Span]:
        """Two neighbouring runs of segments in the order of the text; the document has two.

        What fits is never cut. Where no neighbour fits, one is taken all the same and both are cut.
        """
        first, last = self._from_paragraph(place, content, rng)
        if last - first < 2:
            forward = rng.random() < 0.5
            if last == place.high or (first > place.low and not forward):
                first -= 1
            else:
                last += 1
        split = first + 1 + int(rng.random() * (last - first - 1))
        earlier, later = self._span(place.shard, first, split), self._span(place.shard, split, last)
        return self._fit(earlier, later, content, rng)

    def _fit(
        self, first: Span, second: Span, content: int, rng: np.random.Generator
    ) -> tuple[Span, Span]:
        """Cut a pair to `content` tokens, from the longer part at every step, as Google does.

        This comes before the swap and knows nothing of it. Google cuts the second part at a tie,
        so an odd length leaves the part that is earlier in the text one token longer, and that
        token tells the order; here a tie is a coin.
        """
        if first.length + second.length <= content:
            return first, second
        half = content // 2
        if first.length <= half:
            keep = first.length
        elif second.length <= half:
            keep = content - second.length
        else:
            keep = half + (content % 2 if rng.random() < 0.5 else 0)
        return self._cut(first, keep, rng), self._cut(second, content - keep, rng)

    def _cut(self, span: Span, keep: int, rng: np.random.Generator) -> Span:
        """Keep `keep` tokens of a span: a window whose start is a word start where there is one.

        Google flips a coin per dropped token, which always leaves the middle: the ends of a long
        segment would never be seen. Here a window slides over the span and past both of its ends,
        then is pushed inside, so that every token has a like chance and a short cut comes from
        one end. Both parts of a pair are cut alike, so the cut tells nothing of their order.
        """
        drop = span.length - keep
        if drop <= 0:
            return span
        slide = int(rng.random() * (span.length + keep)) - keep
        start = span.start + min(max(slide, 0), drop)
        if start > span.start:
            lowest = max(span.start, start - _LONGEST_WORD)
            starts = self._word_starts[self._tokens[span.shard][lowest : start + 1]].nonzero()[0]
            if len(starts):
                start = lowest + int(starts[-1])
            elif lowest == span.start:
                start = lowest
        return Span(span.shard, start, start + keep)

    def _google_sop(self, place: _Place, content: int, rng: np.random.Generator) -> Instance:
        """Google's chunks: segments until the length is reached; a lone one gets a stranger."""
        segments, here = self._segments[place.shard], place.segment
        reached = int(segments.searchsorted(segments[here] + content, "left"))
        last = min(reached, place.high)
        if last - here < 2:
            first = self._span(place.shard, here, here + 1)
            room = max(content - first.length, content // 2)
            second = self._run(self._elsewhere(place, content, rng), room, rng)
            return Instance(*self._fit(first, second, content, rng), NOT_IN_ORDER)
        split = here + 1 + int(rng.random() * (last - here - 1))
        first = self._span(place.shard, here, split)
        second = self._span(place.shard, split, last)
        return self._in_either_order(*self._fit(first, second, content, rng), rng)

    def _in_either_order(self, first: Span, second: Span, rng: np.random.Generator) -> Instance:
        if rng.random() < 0.5:
            return Instance(first, second, IN_ORDER)
        return Instance(second, first, NOT_IN_ORDER)

    def _nsp(self, place: _Place, content: int, rng: np.random.Generator) -> Instance:
        """A, and the text after it or text from another document that comes after such an A.

        A is chosen without a look at B, and both kinds of B fill what A leaves by the same rule,
        so that neither lengths nor cuts tell them apart.
        """
        first, after = self._opening(place, content, rng)
        label = IN_ORDER if rng.random() < 0.5 else NOT_IN_ORDER
        if label == NOT_IN_ORDER:
            after = self._elsewhere(place, content, rng)
        return Instance(first, self._run(after, content - first.length, rng), label)

    def _opening(
        self, place: _Place, content: int, rng: np.random.Generator
    ) -> tuple[Span, _Place]:
        """An A of random length, and the place of the segment after it."""
        start = place._replace(segment=min(place.segment, place.high - 2))
        limit = 1 + int(rng.random() * (content - 1))
        last = min(max(self._forward(start, limit), start.segment + 1), place.high - 1)
        span = self._span(place.shard, start.segment, last)
        part = self._cut(span, max(limit, content // 2), rng)
        return part, place._replace(segment=last)

    def _elsewhere(self, place: _Place, content: int, rng: np.random.Generator) -> _Place:
        """Where a B of another document begins: after an A, wherever a few tries find one."""
        for _ in range(_TRIES):
            other = self._locate(int(rng.random() * self.total_tokens))
            elsewhere = other.shard != place.shard or other.low != place.low
            if elsewhere and other.high - other.low >= 2:
                return self._opening(other, content, rng)[1]
        # One document is most of the tokens, or nearly all are one segment: any other will do.
        document = int(self._documents[place.shard].searchsorted(place.segment, "right")) - 1
        here = self._document_starts[place.shard] + document
        number = int(rng.random() * (self.total_documents - 1))
        number += number >= here
        shard = bisect_right(self._document_starts, number) - 1
        low, high = self._documents[shard][number - self._document_starts[shard] :][:2].tolist()
        return _Place(shard, low + int(rng.random() * (high - low)), low, high)
