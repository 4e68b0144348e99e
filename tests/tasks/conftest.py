"""Fixtures of the tests of tasks."""

import pytest

import litebert
from litebert.text.tokenizer import Tokenizer
from shared_data import SHARED


@pytest.fixture(scope="session")
def albert() -> Tokenizer:
    """The tokenizer of the released ALBERT models."""
    if not SHARED.exists():
        pytest.skip("needs ../shared/data")
    return litebert.load_tokenizer(SHARED / "vocab/albert-30k-clean.model")
