"""The real data that lies beside some checkouts; tests that want it are left out elsewhere."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared/data"
needs_data = pytest.mark.skipif(not SHARED.exists(), reason="needs ../shared/data")
