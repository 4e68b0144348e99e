"""A thousand random flips, cuts and deletions: each is found and named before anything is used."""

import random
from pathlib import Path

import pytest

from litebert.errors import InputError
from litebert.text.tokenizer import load_tokenizer
from litebert.train.checkpoint import verify_checkpoint
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from litebert.train.start import open_shards
from tiny_runs import tiny_recipe

ROUNDS = 500  # each for a corpus and for a checkpoint


def damage(path: Path, draw: random.Random) -> str:
    """One bit flipped, the end cut off, or the file gone; says which."""
    content = path.read_bytes()
    how = draw.choice(["flip", "flip", "flip", "cut", "delete"])
    if how == "flip":
        at, bit = draw.randrange(len(content)), draw.randrange(8)
        path.write_bytes(content[:at] + bytes([content[at] ^ (1 << bit)]) + content[at + 1 :])
        return f"bit {bit} of byte {at} flipped"
    if how == "cut":
        path.write_bytes(content[: (at := draw.randrange(len(content)))])
        return f"cut off at {at}"
    path.unlink()
    return "deleted"


def each_damage(files: list[Path]):
    """Damages one of the files at a time, yields it and what was done, and mends it."""
    draw = random.Random(0)
    for _ in range(ROUNDS):
        path = draw.choice(files)
        content = path.read_bytes()
        how = damage(path, draw)
        yield path, how
        path.write_bytes(content)


def test_prepared_corpus(corpus):
    tokenizer = load_tokenizer(corpus / "vocab.txt")
    directory = corpus / "train"
    files = [path for path in sorted(directory.rglob("*")) if path.is_file()]
    assert {path.name for path in files} >= {"index.json", "tokenizer.json"}
    for path, how in each_damage(files):
        with pytest.raises(InputError) as caught:
            open_shards(directory, tokenizer)
        # without its index a directory is no corpus at all
        named = str(directory if how == "deleted" and path.name == "index.json" else path)
        assert named in str(caught.value), (path, how)
        assert "\n" not in str(caught.value), (path, how)
    open_shards(directory, tokenizer)


def test_checkpoint(corpus, tmp_path):
    settings = RunSettings(output=tmp_path, workers=0, tensorboard=False, keep_checkpoints=1)
    Pretraining(tiny_recipe(corpus, steps=2), settings).run()
    (checkpoint,) = (tmp_path / "checkpoints").iterdir()
    for path, how in each_damage(sorted(checkpoint.iterdir())):
        fault = verify_checkpoint(checkpoint)
        assert fault is not None, (path, how)
        assert str(path) in fault, (path, how, fault)
    assert verify_checkpoint(checkpoint) is None
