"""Every command of the tutorial runs, in order, on a smaller text and with fewer steps."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

import litebert
from litebert.cli.main import main
from litebert.tasks.registry import TASKS
from litebert.text import python_prose
from litebert.train.finetune_recipe import read_finetune_recipe
from litebert.train.recipe import read_recipe
from tiny_runs import tiny_tokenizer

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are commands or Python, in order."""
    return re.findall(r"```(sh|python)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def write_text(directory: Path, documents: list[list[str]]) -> None:
    """A folder with one text file: a paragraph per line, a blank line between documents."""
    directory.mkdir()
    (directory / "part.txt").write_text("\n\n".join(map("\n".join, documents)), "utf-8")


def run_page(name: str, place: Path, smaller: dict[str, str]) -> int:
    """Run the blocks of a page in a folder, words replaced, and count them."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    blocks = code_blocks(ROOT / "docs" / name)
    for language, code in blocks:
        for word, other in smaller.items():
            code = code.replace(word, other)
        command = ["bash", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=place, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    return len(blocks)


@pytest.mark.timeout(600)
def test_tutorial_commands(tmp_path):
    prose = list(islice(python_prose.documents(), 110))
    write_text(tmp_path / "text", prose[10:])
    write_text(tmp_path / "held-out", prose[:10])
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    write_reviews(tmp_path)
    # a resumed run keeps its recipe, so only the first command gets the small budget
    smaller = {
        "--vocab-size 8000": "--vocab-size 600",
        "minutes=60": "steps=3 model=albert-micro batch_tokens=512 evaluations=1",
        "lr=1e-3": "lr=1e-3 steps=4 evaluations=2",
    }
    assert run_page("tutorial.md", tmp_path, smaller) >= 7
    assert (tmp_path / "runs/mini/report.html").stat().st_size > 10_000
    assert (tmp_path / "runs/reviews/report.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "my-albert/config.json").read_text())["model_type"] == "albert"


def write_reviews(place: Path) -> None:
    """Labelled rows to learn, and others to answer."""
    reviews = [f"a {word} plot and {n} pages,{word}" for n in range(60) for word in ("good", "bad")]
    (place / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    (place / "new.csv").write_text("text\na good book\na bad one\n")


@pytest.mark.timeout(600)
def test_commands_of_the_page_on_answers(tmp_path):
    write_reviews(tmp_path)
    (tmp_path / "texts.txt").write_text("a good book\na bad one\n")
    rows = [f"a {word} book of {n} pages" for n in range(160) for word in ("good", "bad")]
    (tmp_path / "more.csv").write_text("\n".join(["text", *rows]))
    shape = litebert.ModelConfig(
        hidden_size=32, heads=2, depth=3, inner_size=64, embedding_size=16, vocab_size=65
    )
    (tmp_path / "runs/mini").mkdir(parents=True)
    tokenizer = tiny_tokenizer(tmp_path)
    litebert.save(litebert.build(shape), tokenizer, tmp_path / "runs/mini/model")
    # what the page takes from the tutorial
    argv = ["finetune", "classify", "--model", str(tmp_path / "runs/mini"), "--data",
            str(tmp_path / "reviews.csv"), "--output", str(tmp_path / "runs/reviews")]  # fmt: skip
    assert main([*argv, "steps=2", "evaluations=1"]) == 0
    assert run_page("answers.md", tmp_path, {"lr=1e-3": "lr=1e-3 steps=4 evaluations=2"}) == 6
    assert np.load(tmp_path / "vectors.npy").shape == (2, 32)
    assert (tmp_path / "runs/early/model/exits.json").is_file()


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_recipes_are_valid(recipe):
    assert read_recipe(recipe, {"data": "shards"}).data == Path("shards")


@pytest.mark.parametrize(
    "recipe", sorted((ROOT / "recipes/finetune").glob("*.yaml")), ids=lambda p: p.name
)
def test_finetuning_recipes_are_valid(recipe):
    for task in TASKS:
        assert read_finetune_recipe(recipe, {}, task=task).batch_size > 1
