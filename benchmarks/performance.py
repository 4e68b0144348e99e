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


def newest() -> list[tuple[dict, dict, dict]]:
    """The newest line of a case alone, beside the peer, and with memory kept for both."""
    lines = [json.loads(text) for text in LINES.read_text().splitlines()]
    kinds: list[dict[str, dict]] = [{}, {}, {}]
    for found in lines:
        if "utilisation" in found:
            kind = 0 if not found["peer"] else 1 if found["freed_memory"] == "handed back" else 2
            kinds[kind][found["case"]] = found
    alone = sorted(kinds[0].values(), key=lambda found: found["gflop_per_token"])
    return [(f, kinds[1].get(f["case"], {}), kinds[2].get(f["case"], {})) for f in alone]


def page() -> str:
    """The table as Markdown."""
    rows = [
        "| albert- | GFLOP a token | predicted tokens/s | measured | share of products' rate "
        "| ratio to transformers | memory kept for both |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for found, beside, kept in newest():
        case = re.sub(r", bf16, \d+ threads", "", found["case"])
        ratios = [f"{line['ratio']:.2f}" if line else "not run" for line in (beside, kept)]
        rows.append(
            f"| {case} | {found['gflop_per_token']:.3f} | {predicted(found):,.0f} | "
            f"{found['ours']:,.0f} | {found['utilisation']:.0%} | {ratios[0]} | {ratios[1]} |"
        )
    return "\n".join(rows)


if __name__ == "__main__":
    print(page())
