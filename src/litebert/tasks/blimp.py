"""BLiMP: which of two sentences a model finds likelier, by paradigm and by field of grammar.

Warstadt et al. 2020 (arXiv 1912.00582). A tie counts as wrong: a model that gives all sentences the
same score knows nothing.
"""

import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from litebert.errors import InputError


@dataclass(frozen=True)
class MinimalPair:
    """Two sentences of which the first alone is acceptable."""

    good: str
    bad: str
    paradigm: str
    field: str


@dataclass(frozen=True)
class BlimpScore:
    """Accuracies in per cent."""

    overall: float
    """Mean over paradigms, as published results have it."""
    fields: dict[str, float]
    paradigms: dict[str, float]
    pairs: int


def read_blimp(path: Path) -> list[MinimalPair]:
    """The pairs of a .jsonl or .jsonl.gz file, or of a folder of such as BLiMP is published.

    Raises InputError for a missing file and for a line that is no pair.
    """
    files = [path] if path.is_file() else sorted([*path.glob("*.jsonl"), *path.glob("*.jsonl.gz")])
    if not files:
        raise InputError(f"{path}: no .jsonl files of BLiMP: check the path")
    pairs = [pair for file in files for pair in _pairs(file)]
    if not pairs:
        raise InputError(f"{path}: holds no pairs")
    return pairs


def _pairs(file: Path) -> Iterable[MinimalPair]:
    try:
        content = file.read_bytes()
        lines = gzip.decompress(content) if file.suffix == ".gz" else content
    except (OSError, EOFError) as error:
        raise InputError(f"{file}: cannot be read, or is cut short: {error}") from None
    for number, line in enumerate(lines.splitlines(), 1):
        try:
            row = json.loads(line)
            # the published files spell one field two ways
            field = str(row["field"]).replace("_", "/")
            yield MinimalPair(row["sentence_good"], row["sentence_bad"], row["UID"], field)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"{file}:{number}: is no pair of BLiMP: {error}") from None


def score_blimp(pairs: Sequence[MinimalPair], good: np.ndarray, bad: np.ndarray) -> BlimpScore:
    """Accuracies from the scores of the good and the bad sentences."""
    right = np.asarray(good) > np.asarray(bad)
    paradigms = _means([pair.paradigm for pair in pairs], right)
    # a field is the mean of its paradigms, whose sizes may differ
    field_of = {pair.paradigm: pair.field for pair in pairs}
    fields: dict[str, list[float]] = {}
    for name, value in paradigms.items():
        fields.setdefault(field_of[name], []).append(value)
    means = {name: sum(values) / len(values) for name, values in fields.items()}
    overall = sum(paradigms.values()) / len(paradigms)
    return BlimpScore(overall, means, paradigms, len(pairs))


def _means(names: Sequence[str], right: np.ndarray) -> dict[str, float]:
    found: dict[str, list[bool]] = {}
    for name, value in zip(names, right, strict=True):
        found.setdefault(name, []).append(bool(value))
    return {name: 100 * sum(values) / len(values) for name, values in found.items()}
