"""Answers of albert-base by litebert and by its peers, in turn, on the same weights and threads.

    python benchmarks/inference.py [--texts DATA] [--only int8 fp32] [--rounds 7] [--cases 1x16 ...]
    python benchmarks/inference.py --memory

Dense cases are B rows of S tokens; "ragged" are real texts, by the lengths of DATA/glue and
DATA/squad, ours packed and each peer in the best of three ways: one by one, padded in order, and
padded to neighbours of like length. Cold calls come after a walk over more memory than the
caches hold. JSON lines in tokens a second: of ours in each arithmetic, the ratio to the best peer
(bf16 and fp32: the best in that arithmetic), and every contender's error against fp32.
--memory has each contender loaded alone in a process: its resident memory, and the seconds from the
start of the process to its first answer. Needs pip install -e '.[peers]'.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch

import litebert
from inference_peers import PEERS, Answer
from litebert.infer.prepare import prepare
from litebert.interop.load import load
from litebert.tasks.units import batches_by_length
from report import line, spread

DENSE = ("1x16", "1x128", "8x128")
OURS = {"fp32": "fp32 litebert", "bf16": "bf16 litebert", "int8": "int8 litebert"}
# Tokens of a padded batch, as many as 8x128.
BATCH_TOKENS = 1024
COLD_BYTES = 96 << 20
PAUSE = 0.06
Rows = Sequence[np.ndarray]


class Ours:
    """litebert on rows of ids, packed."""

    def __init__(self, directory: Path, precision: str):
        self.model = prepare(load(directory), precision)

    @torch.inference_mode()
    def __call__(self, rows: Rows) -> list[np.ndarray]:
        packed = litebert.pack([row.tolist() for row in rows])
        return [part.numpy() for part in packed.unpack(self.model(packed).hidden)]


class Peer:
    """A peer on rows of ids, padded."""

    def __init__(self, answer: Answer):
        self.answer = answer

    def __call__(self, rows: Rows) -> list[np.ndarray]:
        width = max(len(row) for row in rows)
        ids, mask = (np.zeros((len(rows), width), np.int64) for _ in range(2))
        for number, row in enumerate(rows):
            ids[number, : len(row)], mask[number, : len(row)] = row, 1
        found = self.answer(ids, mask)
        return [hidden[: len(row)] for hidden, row in zip(found, rows, strict=True)]


Contender = Callable[[Rows], list[np.ndarray]]


def in_batches(contender: Contender, batches: Sequence[Rows]) -> None:
    for rows in batches:
        contender(rows)


def ways(rows: Rows) -> dict[str, list[Rows]]:
    """How ragged rows can be given: one by one, padded in order, padded among their like."""
    ordered, batch = [], []
    for row in rows:
        if batch and max(map(len, [*batch, row])) * (len(batch) + 1) > BATCH_TOKENS:
            ordered.append(batch)
            batch = []
        batch.append(row)
    ordered.append(batch)
    alike = [
        [rows[n] for n in batch]
        for batch in batches_by_length([len(row) for row in rows], limit=BATCH_TOKENS)
    ]
    return {"one by one": [[row] for row in rows], "padded": ordered, "by length": alike}


def ragged_rows(data: Path, count: int, draw: np.random.Generator) -> list[np.ndarray]:
    """Random ids with the lengths of real texts of SST-2, MNLI and SQuAD."""
    tokenizer = litebert.load_tokenizer(data / "vocab" / "albert-30k-clean.model")
    texts: list[str] = []
    for name, column, file in (("SST-2", 0, "dev.tsv"), ("MNLI", 8, "dev_matched.tsv")):
        lines = (data / "glue" / name / file).read_text("utf-8").splitlines()[1:]
        texts += [row.split("\t")[column] for row in lines[: 3 * count // 8]]
    squad = data / "squad" / "v1.1" / "dev-v1.1.json"
    contexts = [
        paragraph["context"]
        for article in json.loads(squad.read_text("utf-8"))["data"]
        for paragraph in article["paragraphs"]
    ]
    texts += contexts[: count - len(texts)]
    lengths = [min(384, 2 + len(tokenizer.encode(text))) for text in texts[:count]]
    order = draw.permutation(len(lengths))
    return [draw.integers(5, 30000, lengths[number]) for number in order]


def timed(work: Callable[[], object], *, cold: bool, walk: np.ndarray) -> float:
    # threads of whoever came before wait on their cores for up to 30 ms after their work
    time.sleep(PAUSE)
    if cold:
        walk += 1
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def error_of(found: Sequence[np.ndarray], exact: Sequence[np.ndarray]) -> float:
    """Root mean square of what hidden states are off, relative to their own."""
    off = sum(float(np.square(a - b).sum()) for a, b in zip(found, exact, strict=True))
    return (off / sum(float(np.square(b).sum()) for b in exact)) ** 0.5


def measure(
    case: str,
    contenders: dict[str, Contender],
    batches_of: Callable[[str], list[Rows]],
    *,
    rounds: int,
    cold: bool,
) -> None:
    """Time the contenders in turn and print a line for each arithmetic of ours, and the table."""
    walk = np.zeros(COLD_BYTES // 4, np.float32)
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    batches = {name: batches_of(name) for name in contenders}
    tokens = {name: sum(len(row) for rows in batches[name] for row in rows) for name in contenders}
    names = list(contenders)
    for number in range(rounds + 1):
        # another one first every time
        for name in (*names[number % len(names) :], *names[: number % len(names)]):
            taken = timed(
                lambda name=name: in_batches(contenders[name], batches[name]), cold=cold, walk=walk
            )
            if number:
                seconds[name].append(taken)
    rates = {name: [tokens[name] / s for s in taken] for name, taken in seconds.items()}
    medians = {name: statistics.median(found) for name, found in rates.items()}
    label = f"{case} cold" if cold else case
    for precision, own in OURS.items():
        if own not in medians:
            continue
        # in int8 the best peer whatever its arithmetic
        rivals = {
            name: rate
            for name, rate in medians.items()
            if name not in OURS.values() and (precision == "int8" or name.startswith(precision))
        }
        best = max(rivals, key=rivals.__getitem__, default=None)
        print(
            line(
                "inference",
                case=f"{precision} {label}",
                unit="tokens/s",
                runs=rates[own],
                peer=best,
                peer_value=best and round(rivals[best], 3),
            ),
            flush=True,
        )
    table = {name: [round(medians[name], 1), spread(rates[name])] for name in names}
    print(json.dumps({"bench": "inference-all", "case": label, "tokens/s, spread": table}))


def ceiling(threads: int) -> None:
    """Print the operations a second of oneDNN's products at the shape of the widest layer, and the
    tokens a second of albert-base's dense layers that they would give."""
    config = litebert.PRESETS["albert-base"]
    rows, width, inner = 1024, config.hidden_size, config.inner_size
    a_token = config.depth * 2 * (4 * width * width + 2 * width * inner)
    products = {
        "bf16": (torch.bfloat16, torch.mm),
        "int8": (torch.int8, torch._int_mm),
    }
    for precision, (dtype, product) in products.items():
        a, b = torch.ones(rows, width, dtype=dtype), torch.ones(width, inner, dtype=dtype)
        best = float("inf")
        for _ in range(20):
            start = time.perf_counter()
            product(a, b)
            best = min(best, time.perf_counter() - start)
        rate = 2 * rows * width * inner / best
        found = {"operations/s": rate, "tokens/s": rate / a_token, "threads": threads}
        print(json.dumps({"bench": "inference-ceiling", "case": precision} | found))


def contender_of(name: str, directory: Path, threads: int) -> Contender:
    precision = next((p for p, own in OURS.items() if own == name), None)
    return Ours(directory, precision) if precision else Peer(PEERS[name](directory, threads))


def alone(directory: Path, threads: int, names: Sequence[str]) -> None:
    """A line for each contender: resident memory and seconds to its first answer, alone."""
    for name in names:
        start = time.time()
        call = subprocess.run(
            [sys.executable, __file__, "--alone", name, str(directory), "--threads", str(threads)],
            capture_output=True,
            text=True,
            check=False,
        )
        if call.returncode:
            print(json.dumps({"case": name, "failed": call.stderr.strip().splitlines()[-1]}))
            continue
        found = json.loads(call.stdout.splitlines()[-1])
        print(line("inference", case=f"{name} memory", unit="MB", runs=[found["megabytes"]]))
        first = found["at"] - start
        print(line("inference", case=f"{name} first answer", unit="s", runs=[first]), flush=True)


def be_alone(name: str, directory: Path, threads: int) -> None:
    torch.set_num_threads(threads)
    contender = contender_of(name, directory, threads)
    contender([np.arange(5, 21)])
    at = time.time()
    for size in (128, 128, 64):
        contender([np.arange(5, 5 + size)])
    resident = next(
        int(row.split()[1])
        for row in Path("/proc/self/status").read_text().splitlines()
        if row.startswith("VmRSS")
    )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"megabytes": resident / 1024, "peak": peak / 1024, "at": at}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, help="a folder with glue/, squad/ and vocab/")
    parser.add_argument("--count", type=int, default=256, help="ragged texts")
    parser.add_argument("--cases", nargs="+", default=[*DENSE, "ragged"])
    parser.add_argument("--only", nargs="+", default=[], help="contenders by part of their name")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--alone", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    if given.alone:
        be_alone(given.alone[0], Path(given.alone[1]), given.threads)
        return
    torch.set_num_threads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "albert-base"
        litebert.save(litebert.build(litebert.PRESETS["albert-base"], seed=0), None, place)
        names = [
            name
            for name in (*OURS.values(), *PEERS)
            if not given.only or any(part in name for part in given.only)
        ]
        if given.memory:
            alone(place, given.threads, names)
            return
        compare(given, place, names)


def compare(given: argparse.Namespace, place: Path, names: Sequence[str]) -> None:
    draw = np.random.default_rng(0)
    contenders, probe = {}, [draw.integers(5, 30000, n) for n in (40, 9, 25)]
    exact = Peer(PEERS["fp32 transformers"](place, given.threads))(probe)
    for name in names:
        try:
            contender = contender_of(name, place, given.threads)
            error = error_of(contender(probe), exact)
        except Exception as problem:  # a peer that cannot be had here is said and left out
            print(json.dumps({"bench": "inference", "case": name, "failed": repr(problem)[:300]}))
            continue
        contenders[name] = contender
        print(json.dumps({"bench": "inference-error", "case": name, "error": round(error, 6)}))
    for case in given.cases:
        if case == "ragged":
            if given.texts is None:
                continue
            rows = ragged_rows(given.texts, given.count, draw)
            chosen = {name: best_way(contenders[name], rows) for name in contenders}
            print(json.dumps({"bench": "inference-ways", "case": case, "ways": chosen}))
            measure(
                case,
                contenders,
                lambda name, rows=rows, chosen=chosen: ways(rows)[chosen[name]],
                rounds=max(3, given.rounds // 2),
                cold=False,
            )
            continue
        count, length = map(int, case.split("x"))
        dense = [draw.integers(5, 30000, length) for _ in range(count)]
        for cold in (False, True):
            measure(
                case, contenders, lambda _, dense=dense: [dense], rounds=given.rounds, cold=cold
            )
    ceiling(given.threads)


def best_way(contender: Contender, rows: Rows) -> str:
    """The quickest of the ways to give ragged rows, found on a part of them."""
    # fewer have no neighbours of like length
    part = rows[: max(32, len(rows) // 2)]
    seconds = {}
    for way, batches in ways(part).items():
        taken = []
        for _ in range(3):
            start = time.perf_counter()
            in_batches(contender, batches)
            taken.append(time.perf_counter() - start)
        seconds[way] = min(taken)
    return min(seconds, key=seconds.__getitem__)


if __name__ == "__main__":
    main()
