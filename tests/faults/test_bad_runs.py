"""Every way to ask for an impossible run ends with code 2 and one line that names the culprit."""

import shutil

import pytest
import torch

from litebert import ModelConfig, build, load_tokenizer
from litebert.cli.main import main
from litebert.text.prepare import prepare
from litebert.train import pretrain as pretrain_module
from tiny_runs import SHAPE, VOCABULARY, arguments, documents, tiny_fields


@pytest.fixture
def refused(capsys):
    """Runs a command that must be refused; returns its one line."""

    def run(argv: list[str], *parts: object) -> str:
        capsys.readouterr()
        assert main(argv) == 2
        printed = capsys.readouterr()
        assert printed.out == ""
        (line,) = [row for row in printed.err.splitlines() if row.startswith("litebert pretrain:")]
        assert printed.err.endswith(line + "\n")
        assert "Traceback" not in printed.err
        for part in parts:
            assert str(part) in line
        return line

    return run


def steps(corpus, **changes):
    return tiny_fields(corpus, steps=3, **changes)


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"stepz": 5}, ["unknown field 'stepz'", "'steps'"]),
        ({"minutes": 5}, ["exactly one of minutes, steps and tokens"]),
        ({"lr": "fast"}, ["lr='fast' must be a number"]),
        ({"data": "nowhere/at/all"}, ["nowhere/at/all", "no such directory"]),
        ({"valid": "nowhere/at/all"}, ["nowhere/at/all", "no such directory"]),
        ({"model": "albert-huge"}, ["'albert-huge'", "neither a preset", "albert-base"]),
        ({"depth_stages": "1 0.5"}, ["depth_stages=1 0.5 must lie in (0, 1] and end with 1"]),
        ({"model": "bert-micro", "depth_stages": "0.5 1"}, ["bert-micro", "depth_stages=[]"]),
        ({"objective": "mlm+nsp", "sop_negatives": "google"}, ["sop_negatives=google"]),
    ],
)
def test_bad_fields(corpus, tmp_path, refused, changes, parts):
    refused(arguments(steps(corpus, **changes), tmp_path / "run"), *parts)
    assert not (tmp_path / "run").exists(), "a mended command must find its directory free"


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        (["--keep-checkpoints", 0], ["keep_checkpoints=0 must be at least 1"]),
        (["--workers", -1], ["workers=-1 must be at least 0"]),
        (["--device", "cuda:99"], ["device='cuda:99' cannot be used here"]),
        (["--device", "toaster"], ["device='toaster'"]),
        (["--recipe", "nowhere.yaml"], ["cannot read recipe nowhere.yaml"]),
    ],
)
def test_bad_flags(corpus, tmp_path, refused, flags, parts):
    refused(arguments(steps(corpus), tmp_path / "run", *flags), *parts)


def test_directory_without_shards(corpus, tmp_path, refused):
    (tmp_path / "text").mkdir()
    (tmp_path / "text/a.txt").write_text("not prepared")
    fields = steps(corpus, data=tmp_path / "text")
    refused(arguments(fields, tmp_path / "run"), tmp_path / "text", "litebert prepare")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("{", "is not a model shape"),
        ("[1]", "is not a model shape"),
        ('{"hidden": 3}', "unexpected keyword argument 'hidden'"),
        ('{"hidden_size": 30, "heads": 4, "depth": 1, "inner_size": 8}', "multiple of heads=4"),
    ],
)
def test_bad_shapes(corpus, tmp_path, refused, content, part):
    (tmp_path / "shape.json").write_text(content)
    fields = steps(corpus, model=tmp_path / "shape.json")
    refused(arguments(fields, tmp_path / "run"), tmp_path / "shape.json", part)


@pytest.fixture
def other_tokenizer(tmp_path):
    """Entries of the same number, two of them swapped."""
    entries = [*VOCABULARY[:-2], VOCABULARY[-1], VOCABULARY[-2]]
    (tmp_path / "vocab.txt").write_text("\n".join(entries) + "\n")
    return load_tokenizer(tmp_path / "vocab.txt")


def test_valid_shards_of_another_tokenizer(corpus, tmp_path, refused, other_tokenizer):
    valid = tmp_path / "valid"
    prepare(documents(9, seed=3), tokenizer=other_tokenizer, output=valid)
    argv = arguments(steps(corpus, valid=valid), tmp_path / "run")
    refused(argv, valid, "not made by the tokenizer of the training shards")


def test_tokenizer_that_did_not_make_the_training_shards(
    corpus, tmp_path, refused, other_tokenizer
):
    data = tmp_path / "train"
    shutil.copytree(corpus / "train", data)
    shutil.rmtree(data / "tokenizer")
    other_tokenizer.save(data / "tokenizer")
    argv = arguments(steps(corpus, data=data), tmp_path / "run")
    refused(argv, data / "tokenizer/tokenizer.json", "does not have the sha256", "prepare")


@pytest.mark.parametrize("which", ["data", "valid"])
def test_damaged_shard_is_refused_before_training(corpus, tmp_path, refused, which):
    copy = tmp_path / "copy"
    shutil.copytree(corpus / "train", copy)
    shard = copy / "shard-00000.safetensors"
    content = shard.read_bytes()
    middle = len(content) * 3 // 4  # tokens are the second half of the file
    argv = arguments(steps(corpus, **{which: copy}), tmp_path / "run")
    shard.write_bytes(content[:middle] + bytes([content[middle] ^ 4]) + content[middle + 1 :])
    refused(argv, shard, "does not have the sha256")
    assert main(["prepare", "--verify", str(copy)]) == 2
    shard.write_bytes(content[:-1])
    refused(argv, shard, "bytes where index.json says")
    shard.unlink()
    refused(argv, shard, "missing")
    assert not (tmp_path / "run").exists()
    shard.write_bytes(content)
    assert main(argv) == 0


def test_directory_of_something_else(corpus, tmp_path, refused):
    (tmp_path / "precious.txt").write_text("mine")
    argv = arguments(steps(corpus), tmp_path)
    refused(argv, tmp_path, "is not empty", "--resume", "--output")
    refused([*argv, "--resume"], tmp_path, "no run to resume")
    assert [path.name for path in tmp_path.iterdir()] == ["precious.txt"]


def test_nothing_to_resume(corpus, tmp_path, refused):
    refused(arguments(steps(corpus), tmp_path / "run", "--resume"), tmp_path, "no run to resume")
    refused(arguments({}, tmp_path / "run", "--resume"), "cannot read recipe", tmp_path)


def test_resume_with_another_recipe(corpus, tmp_path, refused):
    output = tmp_path / "run"
    assert main(arguments(steps(corpus), output)) == 0
    before = (output / "recipe.yaml").read_bytes()
    argv = arguments(steps(corpus, lr=0.5), output, "--resume")
    refused(argv, output, "another recipe (lr was 0.002, is 0.5)", "recipe.yaml", "--output")
    argv = arguments(steps(corpus, optimizer="lamb"), output, "--resume")
    refused(argv, output)
    assert (output / "recipe.yaml").read_bytes() == before
    assert main(arguments({}, output, "--resume")) == 0


def test_all_checkpoints_damaged(corpus, tmp_path, refused):
    output = tmp_path / "run"
    assert main(arguments(steps(corpus), output)) == 0
    for file in output.glob("checkpoints/*/state.json"):
        file.write_bytes(file.read_bytes()[:-1])
    argv = arguments({}, output, "--resume")
    refused(argv, "no complete checkpoint", "step-00000003", "step-00000002", "state.json")


@pytest.mark.parametrize("log_every", [0, 1000], ids=["seen-in-loss", "seen-in-weights"])
def test_weights_that_are_not_finite(corpus, tmp_path, refused, monkeypatch, log_every):
    def poisoned(recipe, *, surprisal):
        model = build(ModelConfig(**SHAPE, vocab_size=len(surprisal)))
        with torch.no_grad():
            model.pooler.dense.bias[0] = float("nan")
        return model

    monkeypatch.setattr(pretrain_module, "start_model", poisoned)
    argv = arguments(steps(corpus), tmp_path / "run", "--log-every", log_every)
    refused(argv, "not finite after step 0", "lower lr")
    assert not any(tmp_path.glob("run/checkpoints/*"))
    assert not (tmp_path / "run/model").exists()
