"""The table of docs/performance.md: a training step as predicted and as measured, for every size.

    python benchmarks/performance.py

Reads the lines of benchmarks/train_step.py in docs/results/train_step.jsonl. Predicted is a
roofline of two terms that do not overlap: products at the measured ceiling, and PASSES reads and
writes of H bf16 values a layer and token at the measured speed of a copy.
"""

import json
import re
from pathlib import Path

from litebert import PRESETS

LINES = Path(__file__).resolve().parents[1] / "docs/results/train_step.jsonl"
# Of the step's elementwise work, forward and backward: splitting and scaling of query, key and
# value (20), softmax (2), two residuals and LayerNorms (24), GELU at the inner size (32), casts (7)
PASSES = 85


def predicted(found: dict) -> float:
    """Tokens a second by the roofline."""
    config = PRESETS[f"albert-{found['case'].split()[0]}"]
    products = found["gflop_per_token"] / found["ceiling_gflops"]
    bytes_a_token = PASSES * config.hidden_size * 2 * config.depth
    return 1 / (products + bytes_a_token / (found["copy_gb_per_second"] * 1e9))


def newest() -> list[dict]:
    """The newest line of every case that has what a prediction needs."""
    lines = [json.loads(text) for text in LINES.read_text().splitlines()]
    by_case = {found["case"]: found for found in lines if "utilisation" in found}
    return sorted(by_case.values(), key=lambda found: found["gflop_per_token"])


def page() -> str:
    """The table as Markdown."""
    rows = [
        "| albert- | GFLOP a token | predicted tokens/s | measured | share of products' rate "
        "| transformers | ratio |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for found in newest():
        case = re.sub(r", bf16, \d+ threads", "", found["case"])
        peer = f"{found['peer_value']:,.0f}" if found["peer_value"] else "not run"
        ratio = f"{found['ratio']:.2f}" if found["ratio"] else ""
        rows.append(
            f"| {case} | {found['gflop_per_token']:.3f} | {predicted(found):,.0f} | "
            f"{found['ours']:,.0f} | {found['utilisation']:.0%} | {peer} | {ratio} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(page())
