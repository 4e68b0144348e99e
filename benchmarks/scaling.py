"""The tables of docs/scaling.md: bytes, hours, cost and what saturates, from measured figures.

    python benchmarks/scaling.py

Rates of one core are read from docs/results/*.jsonl. Nothing was measured on a GPU: its rate, the
network and the price are the assumptions below, printed with the tables.
"""

import json
from pathlib import Path

from litebert import PRESETS
from litebert.model.flops import training_flops
from litebert.model.size import encoder_parameters, head_parameters

RESULTS = Path(__file__).resolve().parents[1] / "docs/results"

MODELS = ("albert-base", "albert-large", "albert-xlarge", "albert-xxlarge")
GPUS = (1, 8, 64, 512)
LENGTH, MASK_RATE = 512, 0.15
STEP_TOKENS = 4096 * 512  # of the paper
PAPER_TOKENS = 125_000 * STEP_TOKENS
# text in bytes; passes over it
CORPORA = {"16 GB": (16e9, 40), "10 TB": (10e12, 1)}

# Assumptions.
GPU_FLOPS = 0.4 * 790e12  # 40 % of what products reach on an H100 in bf16
DOLLARS_AN_HOUR = 2.5
NODE_BYTES_A_SECOND = 50e9  # 400 Gbit/s between nodes of 8
INSIDE_BYTES_A_SECOND = 300e9  # between the GPUs of a node

# Measured on nine shards of English with ALBERT's vocabulary: 48.5 MB, 11,050,616 tokens,
# 391,702 segments.
BYTES_A_TOKEN = 48.52e6 / 11_050_616
TOKENS_A_SEGMENT = 11_050_616 / 391_702


def measured(file: str, case: str) -> float:
    """The median of the newest line of a benchmark whose case begins like this."""
    lines = [json.loads(text) for text in (RESULTS / file).read_text().splitlines()]
    return [found["ours"] for found in lines if found["case"].startswith(case)][-1]


def corpora() -> list[list[str]]:
    """Tokens, bytes of shards, hours of preparation and of one pass of batches."""
    megabytes = measured("prepare.jsonl", "10.6 MB of text")
    batches = measured("batches.jsonl", "mlm+sop, T=4096, max_length=512, workers=1")
    rows = []
    for name, (size, _) in CORPORA.items():
        tokens = size / BYTES_A_TOKEN
        shards = tokens * 2 + tokens / TOKENS_A_SEGMENT * 8
        prepare = size / (megabytes * 1e6) / 3600
        rows.append(
            [
                name,
                f"{tokens / 1e9:,.1f} G",
                f"{shards / 1e9:,.0f} GB",
                f"{prepare:,.1f}",
                f"{tokens / batches / 3600:,.1f}",
            ]
        )
    return rows


def flops_a_token(model: str) -> float:
    return training_flops(PRESETS[model], length=LENGTH, mask_rate=MASK_RATE)


def hours() -> list[list[str]]:
    """Hours on so many GPUs if nothing but products took time, and the cost of all of them."""
    rows = []
    budgets = {"the paper's run": PAPER_TOKENS}
    budgets |= {f"{name}, {n} x": size / BYTES_A_TOKEN * n for name, (size, n) in CORPORA.items()}
    for model in MODELS:
        for budget, tokens in budgets.items():
            one = tokens * flops_a_token(model) / GPU_FLOPS / 3600
            cells = [f"{one / count:,.1f}" for count in GPUS]
            rows.append([model, budget, *cells, f"{one * DOLLARS_AN_HOUR:,.0f}"])
    return rows


def steps() -> list[list[str]]:
    """A step of the paper's batch: milliseconds of products and of adding up gradients."""
    rows = []
    for model in MODELS:
        config = PRESETS[model]
        size = 4 * (encoder_parameters(config) + head_parameters(config))
        cells = []
        for count in GPUS[1:]:
            products = STEP_TOKENS / count * flops_a_token(model) / GPU_FLOPS
            inside = 2 * size / INSIDE_BYTES_A_SECOND
            between = 2 * size / NODE_BYTES_A_SECOND if count > 8 else 0.0
            adding = inside + between
            share = adding / (products + adding)
            cells.append(f"{products * 1e3:,.0f} + {adding * 1e3:,.1f} ({share:.0%})")
        rows.append([model, f"{size / 1e6:,.0f} MB", *cells])
    return rows


def table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def page() -> str:
    """All tables as Markdown."""
    gpus = [f"{count} GPU{'s' if count > 1 else ''}" for count in GPUS]
    rate = GPU_FLOPS / 1e12
    return "\n\n".join(
        [
            f"Assumed, not measured: {rate:,.0f} TFLOP/s a GPU, ${DOLLARS_AN_HOUR:.2f} an hour of "
            f"one, {NODE_BYTES_A_SECOND / 1e9:.0f} GB/s between nodes of 8 and "
            f"{INSIDE_BYTES_A_SECOND / 1e9:.0f} GB/s inside one. Sequences of {LENGTH}, "
            f"{MASK_RATE:.0%} predicted, steps of {STEP_TOKENS / 1e6:.1f} M tokens.",
            table(
                ["text", "tokens", "shards", "`prepare`, core hours", "a pass of batches, hours"],
                corpora(),
            ),
            table(["model", "budget", *(f"hours on {g}" for g in gpus), "$"], hours()),
            table(["model", "gradients", *(f"ms a step on {g}" for g in gpus[1:])], steps()),
        ]
    )


if __name__ == "__main__":
    print(page())
