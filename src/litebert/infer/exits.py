"""Early exits: an answer is given before the last layer once the model is sure and stays so.

Patience and margin: a class that several layers in a row give, the last of them by so much
(PABEE, Zhou et al. 2020, arXiv 2006.04152, with a margin). The margin is calibrated on held-out
rows so that answers differ from those at full depth at most as often as promised, with a stated
confidence (after Learn then Test, Angelopoulos et al. 2021, arXiv 2110.01052).
"""

# L = layers, N = examples, C = classes, R = requests

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from litebert.errors import InputError
from litebert.files import as_json, write_atomically
from litebert.infer.smoothing import SMOOTHING, smoothing_of
from litebert.interop.load import weights_of
from litebert.interop.task_models import FineTuned
from litebert.model.task_heads import SequenceHead
from litebert.tasks.answering import BATCH_TOKENS, Watch
from litebert.tasks.units import Unit, batches_by_length, collate

EXITS = "exits.json"
CARD_HEAD = "## Early answers"
# What stands below that heading, up to the next one as high.
CARD_SECTION = re.compile(rf"^{CARD_HEAD}[ \t]*$.*?(?=^##? |\Z)", re.MULTILINE | re.DOTALL)
# Nothing leads by so much: with it every answer is at full depth.
NEVER = 2.0
# Margins that are tried, strictest first.
MARGINS = (NEVER, *np.round(np.arange(0.99, -0.005, -0.01), 2).tolist())
# Where numbers of exits.json must lie, ends included.
RANGES = {
    "patience": (1, math.inf),
    "margin": (0, NEVER),
    "risk": (0, 1),
    "confidence": (0, 1),
    "rows": (1, math.inf),
    "disagreement": (0, 1),
    "mean_layers": (1, math.inf),
}


@dataclass(frozen=True, kw_only=True)
class Exits:
    """When answers may be given early, and what was promised and seen."""

    patience: int
    """Layers in a row that must give the same class."""
    margin: float
    """By how much the likeliest class must lead in the last of them, in probability."""
    risk: float
    """Promised: the share of answers that differ from those at full depth is at most so large."""
    confidence: float
    """The probability that the promise holds, over draws of the calibration rows."""
    rows: int
    """Rows it was calibrated on."""
    disagreement: float
    """Share of those whose answer differs."""
    mean_layers: float
    """Layers that those took on average."""
    precision: str = "fp32"
    """Arithmetic they were answered in: another gives other probabilities."""
    weights: str = ""
    """The first of the sha256 of the model's file of weights."""
    smoothing: str | None = None
    """In int8 that of what litebert quantize left there; None without."""

    def save(self, directory: str | Path) -> None:
        """Write exits.json into a model's directory, and what it promises into its card."""
        write_atomically(Path(directory) / EXITS, as_json(asdict(self)))
        card = Path(directory) / "README.md"
        if card.is_file():
            before, *after = CARD_SECTION.split(card.read_text("utf-8"), maxsplit=1)
            parts = [before, f"{CARD_HEAD}\n\n{self.in_words()}", *after]
            text = "\n\n".join(part.rstrip() for part in parts if part.strip())
            write_atomically(card, f"{text}\n".encode())

    def check_weights(self, directory: str | Path) -> None:
        """Raise InputError when the weights in a directory are not those that were calibrated.

        In int8 what smooths their inputs must be the same too.
        """
        if self.weights != weights_of(directory):
            raise InputError(
                f"{directory}: {EXITS} was calibrated for other weights: run litebert exits again"
            )
        if self.precision == "int8" and self.smoothing != smoothing_of(directory):
            raise InputError(
                f"{directory}: {SMOOTHING} is not as it was when {EXITS} was calibrated in int8: "
                f"run litebert exits again, or delete {EXITS}"
            )

    def in_words(self) -> str:
        """The promise and what was seen, for a reader."""
        return (
            f"An answer may be given after {self.patience} layers that agree, the last by a margin "
            f"of {self.margin:g}. Promised, with {self.confidence:.0%} confidence: at most "
            f"{self.risk:.2%} of the answers differ from those at full depth. On the {self.rows:,} "
            f"rows it was calibrated on {self.disagreement:.2%} did, after {self.mean_layers:.1f} "
            "layers on average."
        )

    @classmethod
    def read(cls, directory: str | Path) -> "Exits":
        """Those of a model's directory; raises InputError where there are none that can be used."""
        place = Path(directory) / EXITS
        if not place.is_file():
            raise InputError(
                f"{directory}: no {EXITS} in it: litebert exits calibrates early answers"
            )
        try:
            exits = cls(**json.loads(place.read_text("utf-8")))
            exits._check()
        except (ValueError, TypeError) as error:
            raise InputError(
                f"{place}: not what litebert exits wrote ({error}): run it again, or delete this"
            ) from None
        return exits

    def _check(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            kinds: Any = (int, float) if field.type is float else field.type
            if isinstance(value, bool) or not isinstance(value, kinds):
                raise TypeError(f"{field.name} is {value!r}")
        for name, (low, high) in RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise ValueError(f"{name} is {value!r}")


def exit_layers(shares_LNC: np.ndarray, *, patience: int, margin: float) -> np.ndarray:
    """After how many layers each example leaves: (L, N, C) probabilities to (N,), 1 to L."""
    layers, count, _ = shares_LNC.shape
    classes = shares_LNC.argmax(-1)
    leads = _leads(shares_LNC)
    run, left = np.ones(count, int), np.full(count, layers)
    for layer in range(layers - 1):
        if layer:
            run = np.where(classes[layer] == classes[layer - 1], run + 1, 1)
        leaves = (run >= patience) & (leads[layer] >= margin) & (left == layers)
        left[leaves] = layer + 1
    return left


def calibrate(
    shares_LNC: np.ndarray,
    *,
    risk: float,
    confidence: float = 0.95,
    patience: int = 2,
    margins: Sequence[float] = MARGINS,
) -> Exits:
    """The smallest margin of which the promise can be made, from held-out probabilities (L, N, C).

    Margins are tested from the strictest on, each by the exact binomial bound (Clopper-Pearson),
    and the first failure ends it: so the confidence holds for the one that is taken. Raises
    InputError for values out of range.
    """
    check_promise(risk=risk, confidence=confidence, patience=patience, layers=len(shares_LNC))
    from scipy import stats  # slow to import, and answering does not need it

    count = shares_LNC.shape[1]
    if not count:
        raise InputError("no row to calibrate on")
    chosen = None
    for margin in margins:
        wrong, layers = outcome(shares_LNC, patience=patience, margin=margin)
        bound = stats.beta.ppf(confidence, wrong + 1, count - wrong) if wrong < count else 1.0
        if bound > risk:
            break
        chosen = margin, wrong / count, layers
    if chosen is None:
        # too few rows for the promise: nothing leaves, and nothing can differ
        chosen = NEVER, 0.0, float(len(shares_LNC))
    margin, disagreement, mean_layers = chosen
    return Exits(
        patience=patience,
        margin=margin,
        risk=risk,
        confidence=confidence,
        rows=count,
        disagreement=disagreement,
        mean_layers=mean_layers,
    )


def check_promise(*, risk: float, confidence: float, patience: int, layers: int) -> None:
    """Raise InputError for values out of range: a model of so many layers must be able to leave."""
    for name, value in (("risk", risk), ("confidence", confidence)):
        if not 0 < value < 1:
            raise InputError(f"{name}={value} must lie between 0 and 1")
    if patience < 1:
        raise InputError(f"patience={patience} must be at least 1")
    if patience >= layers:
        raise InputError(
            f"patience={patience} must be less than the model's number of layers, {layers}: no "
            "answer could be given before the last"
        )


def rows_needed(*, risk: float, confidence: float) -> int:
    """So many rows a promise takes at least, even where no answer differs.

    The bound of `calibrate` for none: the smallest n with (1 - risk)^n <= 1 - confidence.
    """
    return math.ceil(math.log1p(-confidence) / math.log1p(-risk))


def outcome(shares_LNC: np.ndarray, *, patience: int, margin: float) -> tuple[int, float]:
    """How many answers differ from those at full depth, and the layers that were run on average."""
    left = exit_layers(shares_LNC, patience=patience, margin=margin)
    answers = shares_LNC[left - 1, np.arange(len(left))].argmax(-1)
    return int((answers != shares_LNC[-1].argmax(-1)).sum()), float(left.mean())


def head_of_classes(tuned: FineTuned) -> SequenceHead:
    """The head of a model that can leave early; raises InputError for one that gives no class."""
    kind, head = tuned.kind.kind, tuned.model.head
    if kind != "classification" or not isinstance(head, SequenceHead):
        raise InputError(f"early answers are for classes, and this model's task is {kind}")
    if (count := head.classifier.out_features) < 2:
        raise InputError(f"early answers are for two classes or more, and this model has {count}")
    return head


@torch.inference_mode()
def shares_by_layer(
    tuned: FineTuned, units: Sequence[Unit], *, watch: Watch = lambda share: None
) -> np.ndarray:
    """Probabilities after every layer: (L, N, C), N in the order of `units`.

    Raises InputError for a model that gives no class.
    """
    head_of_classes(tuned)
    model = tuned.model.eval()
    device = next(model.parameters()).device
    found = np.zeros((len(model.encoder.layers()), len(units), len(tuned.kind.labels)))
    done = 0
    for batch in batches_by_length([unit.length for unit in units], limit=BATCH_TOKENS):
        scores = model.at_every_depth(collate([units[n] for n in batch]).to(device))
        found[:, batch] = torch.stack(scores).softmax(-1).cpu().numpy()
        done += len(batch)
        watch(done / len(units))
    return found


class ExitRule:
    """Tells a DepthBatcher which requests are sure; their opinions are kept with them."""

    def __init__(self, exits: Exits, head: SequenceHead):
        self.exits = exits
        # by NumPy: two milliseconds of PyTorch's threads after every layer would be the step's time
        layer = head.classifier
        self._weight_HC = layer.weight.detach().float().t().contiguous().cpu().numpy()
        self._bias_C = layer.bias.detach().float().cpu().numpy()

    def __call__(self, requests: Sequence, pooled_RH: Tensor) -> list[bool]:
        """Which of the requests leave, by their pooled first tokens (R, H)."""
        scores_RC = pooled_RH.float().cpu().numpy() @ self._weight_HC + self._bias_C
        shares_RC = np.exp(scores_RC - scores_RC.max(-1, keepdims=True))
        shares_RC /= shares_RC.sum(-1, keepdims=True)
        leads, classes = _leads(shares_RC).tolist(), shares_RC.argmax(-1).tolist()
        leaves = []
        for request, found, lead in zip(requests, classes, leads, strict=True):
            request.opinions.append(found)
            last = request.opinions[-self.exits.patience :]
            steady = len(last) == self.exits.patience and len(set(last)) == 1
            leaves.append(steady and lead >= self.exits.margin)
        return leaves


def _leads(shares: np.ndarray) -> np.ndarray:
    """By how much the likeliest class leads: (..., C) to (...)."""
    ordered = np.sort(shares, -1)
    return ordered[..., -1] - ordered[..., -2]
