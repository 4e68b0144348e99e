"""The main job, shortened: text to a model that transformers loads, on built-in and own text."""

import json
import os
import subprocess
import sys
from itertools import islice

import pytest

from litebert.text import python_prose


def quickstart(directory, *arguments):
    done = subprocess.run(
        [sys.executable, "-m", "litebert", "quickstart", *arguments],
        cwd=directory,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_quickstart_on_the_prose_of_this_installation(tmp_path):
    transformers = pytest.importorskip("transformers")
    done = quickstart(tmp_path, "--minutes", "0.1", "--output", "run", "--json")
    result = json.loads(done.stdout)
    assert result["evaluation"]["predictions"] > 1000
    assert result["evaluation"]["unigram_loss"] > 5  # real text with a vocabulary of 8,000
    assert result["step"] >= 1
    model = transformers.AutoModelForMaskedLM.from_pretrained(tmp_path / result["model"])
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / result["model"])
    assert model.config.vocab_size == len(tokenizer) == 8000
    assert "unigram" in (tmp_path / result["report"]).read_text()


def test_quickstart_on_own_text_shows_examples_and_how_to_load_it(tmp_path):
    documents = ["\n".join(paragraphs) for paragraphs in islice(python_prose.documents(), 100)]
    (tmp_path / "mine.txt").write_text("\n\n".join(documents))
    done = quickstart(tmp_path, "--text", "mine.txt", "--minutes", "0.03", "--vocab-size", "600")
    assert "AutoModelForMaskedLM.from_pretrained(" in done.stdout
    assert "[MASK]" in done.stdout
    assert "held out: masked-LM loss" in done.stdout


def test_quickstart_needs_text_to_hold_out(tmp_path):
    (tmp_path / "one.txt").write_text("Only one document. It has two sentences.\n")
    done = subprocess.run(
        [sys.executable, "-m", "litebert", "quickstart", "--text", "one.txt"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "give at least two" in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
