"""docs/scaling.md shows the tables that benchmarks/scaling.py makes of the measured figures."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def test_tables_are_those_of_the_script():
    command = [sys.executable, str(ROOT / "benchmarks/scaling.py")]
    tables = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    page = (ROOT / "docs/scaling.md").read_text("utf-8")
    shown = page.split("<!-- benchmarks/scaling.py -->")[1].split("<!-- end -->")[0].strip()
    assert shown == tables
