"""A prepared corpus of real text for the statistics."""

import gzip
from pathlib import Path

import pytest

from litebert.text.corpus import as_document
from litebert.text.prepare import prepare
from litebert.text.tokenizer import load_tokenizer

SHARED = Path(__file__).resolve().parents[2] / "../shared"


@pytest.fixture(scope="session")
def real_corpus(tmp_path_factory):
    """Shards and word starts of a million tokens of Wikipedia, a paragraph a line."""
    text = SHARED / "data/corpus/wikipedia-00.txt.gz"
    model = SHARED / "data/vocab/albert-30k-clean.model"
    if not text.exists() or not model.exists():
        pytest.skip("needs ../shared/data")
    with gzip.open(text, "rt", encoding="utf-8") as file:
        articles = [article.split("\n") for article in file.read().strip().split("\n\n")]
    documents = [as_document(article) for article in articles]
    tokenizer = load_tokenizer(model)
    output = tmp_path_factory.mktemp("corpus") / "shards"
    return prepare(documents, tokenizer=tokenizer, output=output), tokenizer.word_starts()
