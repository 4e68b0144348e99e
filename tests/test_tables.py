"""Pages whose tables a script makes show what it makes of the measured figures now."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("name", ["scaling", "performance"])
def test_tables_are_those_of_the_script(name):
    command = [sys.executable, str(ROOT / f"benchmarks/{name}.py")]
    tables = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    page = (ROOT / f"docs/{name}.md").read_text("utf-8")
    shown = page.split(f"<!-- benchmarks/{name}.py -->")[1].split("<!-- end -->")[0].strip()
    assert shown == tables
    assert tables.count("|") > 20


@pytest.mark.parametrize(
    "name", ["inference", "memory", "latency", "exits", "batching", "windows", "int8"]
)
def test_tables_of_answers_are_those_of_the_lines(name):
    command = [sys.executable, str(ROOT / "benchmarks/answers.py"), name]
    table = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    page = (ROOT / "docs/performance.md").read_text("utf-8")
    mark = f"<!-- benchmarks/answers.py {name} -->"
    assert page.split(mark)[1].split("<!-- end -->")[0].strip() == table
    assert table.count("|") > 10
