"""One JSON line per measurement: what was measured, by which code, on which machine.

`ours` is the median of `runs` and `spread` the distance between its quartiles, all in `unit`.
"""

import json
import os
import platform
import statistics
import subprocess
from importlib.metadata import version
from pathlib import Path


def line(
    bench: str,
    *,
    case: str,
    unit: str,
    runs: list[float],
    peer: str | None = None,
    peer_value: float | None = None,
) -> str:
    """One measurement as a line of JSON; `peer` names what it is compared with, if anything."""
    ours = statistics.median(runs)
    return json.dumps(
        {
            "bench": bench,
            "case": case,
            "unit": unit,
            "ours": round(ours, 3),
            "peer": peer,
            "peer_value": peer_value,
            "ratio": None if peer_value is None else round(ours / peer_value, 3),
            "runs": [round(run, 3) for run in runs],
            "spread": spread(runs),
            "commit": _commit(),
            "hardware": _hardware(),
            "versions": {
                "python": platform.python_version(),
                "torch": version("torch"),
                "numpy": version("numpy"),
            },
        }
    )


def spread(runs: list[float]) -> float:
    """The distance between the quartiles; 0 of a single run."""
    if len(runs) == 1:
        return 0.0
    low, _, high = statistics.quantiles(runs, n=4)
    return round(high - low, 3)


def _commit() -> str:
    """The short commit, with a + when the tree differs from it."""
    root = Path(__file__).resolve().parents[1]

    def git(*arguments: str) -> str:
        call = ["git", "-C", str(root), *arguments]
        return subprocess.run(call, check=True, capture_output=True, text=True).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "src", "benchmarks")
    return git("rev-parse", "--short", "HEAD") + ("+" if changed else "")


def _hardware() -> str:
    names = [
        row.split(":", 1)[1].strip()
        for row in Path("/proc/cpuinfo").read_text().splitlines()
        if row.startswith("model name")
    ]
    return f"{names[0] if names else platform.machine()}, {os.cpu_count()} cores"
