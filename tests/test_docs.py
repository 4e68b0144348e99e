"""Every command of the tutorial runs, in order, on a smaller text and with fewer steps."""

import json
import os
import re
import shutil
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from litebert.tasks.registry import TASKS
from litebert.text import python_prose
from litebert.train.finetune_recipe import read_finetune_recipe
from litebert.train.recipe import read_recipe

ROOT = Path(__file__).resolve().parents[1]


def code_blocks(page: Path) -> list[tuple[str, str]]:
    """The fenced blocks of a page that are commands or Python, in order."""
    return re.findall(r"```(sh|python)\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


def write_text(directory: Path, documents: list[list[str]]) -> None:
    """A folder with one text file: a paragraph per line, a blank line between documents."""
    directory.mkdir()
    (directory / "part.txt").write_text("\n\n".join(map("\n".join, documents)), "utf-8")


@pytest.mark.timeout(600)
def test_tutorial_commands(tmp_path):
    prose = list(islice(python_prose.documents(), 110))
    write_text(tmp_path / "text", prose[10:])
    write_text(tmp_path / "held-out", prose[:10])
    shutil.copytree(ROOT / "recipes", tmp_path / "recipes")
    reviews = [f"a {word} plot and {n} pages,{word}" for n in range(60) for word in ("good", "bad")]
    (tmp_path / "reviews.csv").write_text("\n".join(["text,label", *reviews]))
    (tmp_path / "new.csv").write_text("text\na good book\na bad one\n")
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "OMP_NUM_THREADS": "1"}
    blocks = code_blocks(ROOT / "docs" / "tutorial.md")
    assert len(blocks) >= 7
    for language, code in blocks:
        code = code.replace("--vocab-size 8000", "--vocab-size 600")
        # a resumed run keeps its recipe, so only the first command gets the small budget
        code = code.replace(
            "minutes=60", "steps=3 model=albert-micro batch_tokens=512 evaluations=1"
        )
        code = code.replace("lr=1e-3", "lr=1e-3 steps=4 evaluations=2")
        command = ["bash", "-ec", code] if language == "sh" else [sys.executable, "-c", code]
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, f"{code}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "runs/mini/report.html").stat().st_size > 10_000
    assert (tmp_path / "runs/reviews/report.html").stat().st_size > 10_000
    assert json.loads((tmp_path / "my-albert/config.json").read_text())["model_type"] == "albert"


@pytest.mark.parametrize("recipe", sorted((ROOT / "recipes").glob("*.yaml")), ids=lambda p: p.name)
def test_recipes_are_valid(recipe):
    assert read_recipe(recipe, {"data": "shards"}).data == Path("shards")


@pytest.mark.parametrize(
    "recipe", sorted((ROOT / "recipes/finetune").glob("*.yaml")), ids=lambda p: p.name
)
def test_finetuning_recipes_are_valid(recipe):
    for task in TASKS:
        assert read_finetune_recipe(recipe, {}, task=task).batch_size > 1
