"""Timing of models: numbers that follow from one another."""

import json

import pytest

from litebert.cli.main import main


def test_the_command(tmp_path, capsys):
    argv = ["study", "speed", "albert-micro", "bert-micro", "--sequences", "2", "--length", "32",
            "--runs", "2", "--output", str(tmp_path), "--json"]  # fmt: skip
    assert main(argv) == 0
    found = json.loads(capsys.readouterr().out)
    models = found["models"]
    assert models["albert-micro"]["relative"] == 1
    assert len(models["bert-micro"]["runs"]) == 2
    for model in models.values():
        assert model["relative"] == pytest.approx(
            model["tokens_per_second"] / models["albert-micro"]["tokens_per_second"]
        )
        assert model["latency_ms"] > 0
    assert "| albert-micro |" in (tmp_path / "report.md").read_text()
    assert main(argv[:-1]) == 0
    assert main(["study", "speed", "albert-nano"]) == 2
    assert main(["study", "speed", "--length", "2"]) == 2
