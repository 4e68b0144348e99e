"""The README's table of sizes is what `litebert describe` counts."""

import json
from pathlib import Path

from litebert.cli.main import main

README = Path(__file__).resolve().parents[1] / "README.md"
MODELS = {
    "ALBERT base": "albert-base",
    "ALBERT large": "albert-large",
    "ALBERT xlarge": "albert-xlarge",
    "ALBERT xxlarge": "albert-xxlarge",
    "BERT base": "bert-base",
    "BERT large": "bert-large",
}


def test_table_of_sizes(capsys):
    assert main(["describe", *MODELS.values(), "--json"]) == 0
    described = json.loads(capsys.readouterr().out)["models"]
    rows = {}
    for line in README.read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in MODELS:
            rows[MODELS[cells[0]]] = cells[2:]
    assert set(rows) == set(described)
    for name, (encoder, with_heads, unshared, flops) in rows.items():
        facts = described[name]
        assert encoder == f"{facts['encoder_with_pooler']:,}"
        assert with_heads == f"{facts['with_pretraining_heads']:,}"
        assert flops == f"{facts['forward_flops_per_token'] / 1e6:,.0f}"
        if name.startswith("albert"):
            assert unshared == f"{facts['encoder_with_pooler_unshared']:,}"
