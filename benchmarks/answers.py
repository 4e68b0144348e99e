"""The tables of docs/performance.md about answers, made from the lines in docs/results.

    python benchmarks/answers.py inference|memory|latency|exits|batching|windows|int8

Lines come from inference.py, latency.py, exits.py, depth_batching.py, windows.py and int8.py.
"""

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "docs/results"
# BERT's time over ALBERT's from which on sharing weights counts as paying.
PAYS = 1.1
Found = dict[str, Any]
Latencies = list[tuple[int, float, float]]


def read(name: str) -> list[Found]:
    """The lines of a file of docs/results."""
    return [json.loads(row) for row in (RESULTS / f"{name}.jsonl").read_text().splitlines()]


def markdown(header: list[str], rows: list[list[str]]) -> str:
    """A table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def inference() -> str:
    """Tokens a second of everybody; ours beside the best peer."""
    found = [row for row in read("inference") if row["bench"] == "inference-all"]
    cases = [row["case"] for row in found]
    rates = {row["case"]: row["tokens/s, spread"] for row in found}
    names = list(dict.fromkeys(name for case in cases for name in rates[case]))
    errors = {r["case"]: r["error"] for r in read("inference") if r["bench"] == "inference-error"}
    rows = [
        [name, *(f"{rates[case][name][0]:,.0f}" for case in cases), f"{errors[name]:.4f}"]
        for name in names
    ]
    ratios = {row["case"]: row["ratio"] for row in read("inference") if row.get("ratio")}
    for precision in ("fp32", "bf16", "int8"):
        own = [ratios.get(f"{precision} {case}") for case in cases]
        if any(own):
            cells = ["" if ratio is None else f"**{ratio:.2f}**" for ratio in own]
            rows.append([f"{precision}: ours to the best peer", *cells, ""])
    ceilings = {r["case"]: r["tokens/s"] for r in read("inference") if "ceiling" in r["bench"]}
    for precision, most in ceilings.items():
        cells = [f"{rates[case][f'{precision} litebert'][0] / most:.0%}" for case in cases]
        rows.append([f"{precision}: ours to what products alone would give", *cells, ""])
    return markdown(["tokens/s", *cases, "error"], rows)


def memory() -> str:
    """Resident memory and seconds to the first answer, each alone in a process."""
    found = {row["case"]: row for row in read("inference") if "ours" in row}
    names = [case.removesuffix(" memory") for case in found if case.endswith(" memory")]
    rows = [
        [
            name,
            f"{found[f'{name} memory']['ours']:,.0f}",
            f"{found[f'{name} first answer']['ours']:.1f}",
        ]
        for name in names
    ]
    return markdown(["albert-base", "resident, MB", "first answer, s"], rows)


def latencies() -> dict[tuple[str, str], Latencies]:
    """By precision and warm or cold: (tokens, ms of ALBERT, ms of BERT), by tokens."""
    found: dict[tuple[str, str], Latencies] = {}
    for measured in read("latency"):
        precision, shape, state = measured["case"].split()
        row = int(shape.split("x")[1]), measured["ours"], measured["peer_value"]
        found.setdefault((precision, state), []).append(row)
    return {key: sorted(rows) for key, rows in found.items()}


def knee(rows: Latencies) -> int | None:
    """The tokens of the longest text up to which BERT takes a tenth longer; None if never."""
    paying = None
    for tokens, albert, bert in rows:
        if bert < PAYS * albert:
            break
        paying = tokens
    return paying


def latency() -> str:
    """BERT's time over ALBERT's at every length, and the knee."""
    found = latencies()
    sizes = [tokens for tokens, _, _ in next(iter(found.values()))]
    rows = [
        [
            f"{precision} {state}",
            *(f"{bert / albert:.2f}" for _, albert, bert in measured),
            str(knee(measured) or "never"),
        ]
        for (precision, state), measured in found.items()
    ]
    return markdown(["tokens", *map(str, sizes), "pays up to"], rows)


def task_and_risk(found: Found) -> tuple[str, float]:
    """What a line of exits.py is about."""
    task, risk, _ = found["case"].split(", ")
    return task, float(risk.removeprefix("risk ").removesuffix("%")) / 100


def exits() -> str:
    """Promised and measured disagreement, layers, speed and accuracy."""
    header = ["task", "promised", "measured", "kept", "layers", "speed", "accuracy", "full depth"]
    rows = []
    for found in read("exits"):
        task, risk = task_and_risk(found)
        rows.append(
            [
                task,
                f"{risk:.1%}",
                f"{found['disagreement']:.2%}",
                f"{found['kept']:.0%} of {found['draws']}",
                f"{found['layers']:.2f} of {found['of']}",
                f"{found['ratio']:.2f}",
                f"{found['accuracy']:.1f}",
                f"{found['full accuracy']:.1f}",
            ]
        )
    return markdown(header, rows)


def batching() -> str:
    """Latencies of every policy under every load, those of the last one beside the others'."""
    loads: dict[tuple[str, str], dict[str, dict[str, float]]] = {}
    for found in read("depth_batching"):
        policy, case = found["case"].split(" ", 1)
        load, shape = case.split(", ")
        policies = loads.setdefault((shape, load), {})
        policies.setdefault(policy, {})[found["unit"]] = found["ours"]
    rows, names = [], []
    for (shape, load), policies in loads.items():
        names = list(policies)
        worst = [found["p99, ms"] for found in policies.values()]
        ours = policies["depth-continuous"]
        rows.append(
            [
                shape,
                load,
                *(
                    f"{found['p50, ms']:.1f} / {found['p99, ms']:.1f}"
                    for found in policies.values()
                ),
                f"**{worst[-1] / worst[0]:.2f}**",
                f"{worst[-1] / min(worst[:-1]):.2f}",
                f"{ours['answers a second']:,.0f}",
                f"{policies['static']['layers']:.1f}, {ours['layers']:.1f}",
            ]
        )
    header = ["model", "load", *names, "p99 to static", "to the best static"]
    return markdown([*header, "answers/s", "layers"], rows)


def windows() -> str:
    """Milliseconds with windows and without."""
    rows = [
        [
            found["case"],
            f"{found['ours']:,.0f}",
            f"{found['peer_value']:,.0f}",
            f"{found['ratio']:.2f}",
        ]
        for found in read("windows")
    ]
    return markdown(["case", "windows, ms", "full, ms", "ratio"], rows)


def int8() -> str:
    """Metrics of fine-tuned models in fp32 and int8: medians over seeds, and the worst change."""
    rows = []
    for found in read("int8"):
        task, _, metric = found["case"].split(" ")
        exact, rounded, error = (
            statistics.median(found[name]) for name in ("fp32", "int8", "errors")
        )
        cells = [task, metric, str(len(found["runs"])), f"{exact:.2f}", f"{rounded:.2f}"]
        changes = [f"{found['ours']:+.2f}", f"{min(found['runs']):+.2f}"]
        rows.append([*cells, *changes, f"{error:.2%}"])
    header = ["task", "metric", "seeds", "fp32", "int8", "median change", "worst", "error"]
    return markdown(header, rows)


TABLES = {
    "inference": inference,
    "memory": memory,
    "latency": latency,
    "exits": exits,
    "batching": batching,
    "windows": windows,
    "int8": int8,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("table", choices=list(TABLES))
    print(TABLES[parser.parse_args().table]())
