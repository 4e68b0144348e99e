"""Heads of fine-tuning: one for whole sequences, one for tokens, two for answers in a context.

Google's run_classifier.py, run_squad_v1.py, run_squad_v2.py and run_race.py; names and dropout as
in transformers' Albert classes, which load all but the last (tests/tasks/test_heads.py).
"""

# T = packed tokens, B = sequences, S = longest sequence, H = hidden, C = classes, K = candidates

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from litebert.config import ModelConfig
from litebert.model.encoder import Model, Output
from litebert.model.layers import LayerNorm, Linear
from litebert.model.packed import PackedBatch

# What a position that cannot be chosen scores; finite, so that no row becomes NaN.
IMPOSSIBLE = -1e30


class _Classifier(nn.Module):
    """Scores of C classes from vectors of the encoder."""

    def __init__(self, config: ModelConfig, outputs: int, dropout: float):
        super().__init__()
        self.dropout = dropout
        self.classifier = Linear(config.hidden_size, outputs)

    def scores(self, vectors: Tensor) -> Tensor:
        # in fp32: bf16 knows no score between 4.00 and 4.03
        return self.classifier(F.dropout(vectors.float(), self.dropout, self.training))


class SequenceHead(_Classifier):
    """Scores of every sequence from its pooled first token: (B, C)."""

    def forward(self, out: Output, packed: PackedBatch) -> Tensor:
        return self.scores(out.pooled)


class TokenHead(_Classifier):
    """Scores of every token: (T, C)."""

    def forward(self, out: Output, packed: PackedBatch) -> Tensor:
        return self.scores(out.hidden)


class SpanScores(NamedTuple):
    """Log-probabilities of the borders of an answer in every sequence."""

    starts: Tensor
    """(B, S); IMPOSSIBLE behind the end of a sequence."""
    ends: Tensor
    """(B, S), or (B, K, S) given each of K likeliest starts."""
    candidates: Tensor | None = None
    """(B, K) those starts."""
    null: Tensor | None = None
    """(B,) logit of there being no answer."""


class SpanHead(nn.Module):
    """First and last token of an answer, each scored on its own (SQuAD 1.1)."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.qa_outputs = Linear(config.hidden_size, 2)

    def forward(
        self, out: Output, packed: PackedBatch, allowed: Tensor, starts: Tensor | None = None
    ) -> SpanScores:
        """`allowed` and `starts` are what AnswerabilityHead needs; here nothing is forbidden."""
        logits_BS2 = _rows(self.qa_outputs(out.hidden.float()), packed, fill=IMPOSSIBLE)
        return SpanScores(*logits_BS2.log_softmax(1).unbind(-1))


class AnswerabilityHead(nn.Module):
    """The paper's head for SQuAD 2.0: the end is scored given the start, and answerability apart.

    Google's run_squad_v2.py, which follows XLNet: 5 starts and 5 ends of each are candidates.
    """

    def __init__(self, config: ModelConfig, dropout: float, candidates: int = 5):
        super().__init__()
        hidden = config.hidden_size
        self.dropout, self.candidates = dropout, candidates
        self.start = Linear(hidden, 1)
        self.end_inner = Linear(2 * hidden, hidden)
        self.end_norm = LayerNorm(hidden, eps=config.layer_norm_eps)
        self.end = Linear(hidden, 1)
        self.null_inner = Linear(2 * hidden, hidden)
        self.null = nn.Linear(hidden, 1, bias=False)

    def forward(
        self, out: Output, packed: PackedBatch, allowed: Tensor, starts: Tensor | None = None
    ) -> SpanScores:
        """Score borders among `allowed` (T,) tokens, [CLS] and the context.

        With `starts` (B,), places of the right first tokens in their sequences, ends are scored
        given those (training), else given each of the likeliest starts.
        """
        hidden_BSH = _rows(out.hidden.float(), packed)
        allowed_BS = _rows(allowed, packed)
        starts_BS = self.start(hidden_BSH).squeeze(-1).float()
        starts_BS = starts_BS.masked_fill(~allowed_BS, IMPOSSIBLE).log_softmax(-1)
        null_B = self._null(hidden_BSH, starts_BS)
        if starts is not None:
            ends_BKS = self._ends(hidden_BSH, starts[:, None], allowed_BS)
            return SpanScores(starts_BS, ends_BKS[:, 0], None, null_B)
        likeliest_BK = starts_BS.topk(min(self.candidates, starts_BS.shape[1])).indices
        ends_BKS = self._ends(hidden_BSH, likeliest_BK, allowed_BS)
        return SpanScores(starts_BS, ends_BKS, likeliest_BK, null_B)

    def _ends(self, hidden_BSH: Tensor, starts_BK: Tensor, allowed_BS: Tensor) -> Tensor:
        index_BKH = starts_BK[..., None].expand(-1, -1, hidden_BSH.shape[-1])
        start_BKH = hidden_BSH.gather(1, index_BKH)
        # concat(h, start) W = h W_1 + start W_2: the K copies of h are never made
        of_token, of_start = self.end_inner.weight.to(hidden_BSH.dtype).chunk(2, 1)
        token_BSH = F.linear(hidden_BSH, of_token, self.end_inner.bias.to(hidden_BSH.dtype))
        inner_BKSH = token_BSH[:, None] + F.linear(start_BKH, of_start)[:, :, None]
        ends_BKS = self.end(self.end_norm(inner_BKSH.tanh())).squeeze(-1).float()
        return ends_BKS.masked_fill(~allowed_BS[:, None], IMPOSSIBLE).log_softmax(-1)

    def _null(self, hidden_BSH: Tensor, starts_BS: Tensor) -> Tensor:
        expected_BH = (starts_BS.exp()[..., None].to(hidden_BSH.dtype) * hidden_BSH).sum(1)
        pair = torch.cat([expected_BH, hidden_BSH[:, 0]], -1)
        inner_BH = F.dropout(self.null_inner(pair).tanh(), self.dropout, self.training)
        return F.linear(inner_BH, self.null.weight.to(inner_BH.dtype)).squeeze(-1).float()


class TaskModel(nn.Module):
    """An encoder with the head of one task."""

    def __init__(self, encoder: Model, head: nn.Module):
        super().__init__()
        self.encoder, self.head = encoder, head

    def forward(self, packed: PackedBatch, *arguments: Tensor | None, depth: int | None = None):
        """Scores of the head; `arguments` are its own. All layers run where `depth` is None."""
        # of a head that reads pooled tokens the last layer needs no other
        wanted = packed.offsets[:0] if isinstance(self.head, SequenceHead) else None
        return self.head(self.encoder(packed, depth, wanted=wanted), packed, *arguments)

    def at_every_depth(self, packed: PackedBatch) -> list[Tensor]:
        """Scores of a head on pooled tokens after each layer, L times (B, C)."""
        assert isinstance(self.head, SequenceHead)
        return [self.head.scores(pooled) for pooled in self.encoder.pooled_at_every_depth(packed)]


def initialise(head: nn.Module, *, deviation: float, seed: int) -> None:
    """Fresh weights as Google draws them: a normal distribution cut at two deviations, biases 0."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if parameter.ndim >= 2:
                limit = 2 * deviation
                nn.init.trunc_normal_(
                    parameter, std=deviation, a=-limit, b=limit, generator=generator
                )
            else:
                parameter.fill_(1.0 if name.endswith("norm.weight") else 0.0)


def _rows(values: Tensor, packed: PackedBatch, *, fill: float = 0.0) -> Tensor:
    """(T, ...) to (B, S, ...), filled up behind the end of each sequence."""
    if packed.uniform_length is not None:
        return values.unflatten(0, (len(packed.lengths), -1))
    return pad_sequence(packed.unpack(values), batch_first=True, padding_value=fill)
