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
