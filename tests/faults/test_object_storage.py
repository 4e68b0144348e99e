"""Shards and checkpoints at a URL: the same bytes come back, and what is not whole is refused."""

import contextlib
import json
import shutil

import fsspec
import pytest

from litebert import InputError
from litebert.cli.main import main
from litebert.remote import RemoteDirectory
from litebert.text.remote_shards import local_shards
from litebert.text.shards import INDEX, verify
from litebert.train.copies import RunCopies
from litebert.train.pretrain import Pretraining
from litebert.train.recipe import RunSettings
from tiny_checkpoints import Trainee, at_step, same
from tiny_runs import arguments, steps_and_losses, tiny_recipe, weights


@pytest.fixture
def bucket():
    """The URL of an empty place in fsspec's own storage in memory."""
    system = fsspec.filesystem("memory")
    yield "memory://bucket"
    with contextlib.suppress(FileNotFoundError):
        system.rm("/bucket", recursive=True)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("LITEBERT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def content(directory) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_bytes() for path in files}


def test_shards_come_back_and_train_the_same(corpus, tmp_path, bucket):
    for part in ("train", "valid"):
        RemoteDirectory(f"{bucket}/{part}").put(corpus / part, manifest=INDEX)
    there, here = tmp_path / "there", tmp_path / "here"
    fields = {"model": str(corpus / "shape.json"), "batch_tokens": 256, "max_length": 32}
    fields |= {"precision": "fp32", "steps": 3, "evaluation_batches": 1}
    for output, place in ((there, bucket), (here, corpus)):
        argv = arguments({**fields, "data": f"{place}/train", "valid": f"{place}/valid"}, output)
        assert main([*argv, "--workers", "0"]) == 0
    assert weights(there) == weights(here)
    assert "memory://bucket/train" in (there / "recipe.yaml").read_text()
    copy = local_shards(f"{bucket}/train")
    assert content(copy) == content(corpus / "train")
    verify(copy)


def test_prepare_writes_to_a_url(corpus, tmp_path, bucket, capsys):
    (tmp_path / "a.txt").write_text("w1 w2 w3\n\nw4 w5\n")
    argv = ["prepare", str(tmp_path / "a.txt"), "--tokenizer", str(corpus / "vocab.txt")]
    assert main([*argv, "--output", f"{bucket}/new", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["path"] == f"{bucket}/new"
    assert main([*argv, "--output", str(tmp_path / "local")]) == 0
    assert content(local_shards(f"{bucket}/new")) == content(tmp_path / "local")
    assert main([*argv, "--output", f"{bucket}/new"]) == 2
    assert "not empty" in capsys.readouterr().err
    cluster = ["--engine", "ray", "--address", "10.0.0.1:6379"]
    assert main([*argv, "--output", f"{bucket}/other", *cluster]) == 2
    assert "all machines see" in capsys.readouterr().err


def test_corpus_that_is_not_whole_is_refused(corpus, tmp_path, bucket, cache):
    with pytest.raises(InputError, match="no prepared corpus"):
        local_shards(f"{bucket}/train")
    remote = RemoteDirectory(f"{bucket}/train")
    remote.put(corpus / "train", manifest=INDEX)
    shard = json.loads((corpus / "train" / INDEX).read_bytes())["shards"][1]["file"]
    good = remote.read(shard)
    assert good is not None
    for damaged in (good[:-1], good[:-1] + bytes([good[-1] ^ 1])):
        remote.write(shard, damaged)
        with pytest.raises(InputError, match=f"bucket/train was not copied .*{shard}"):
            local_shards(remote.url)
        assert not any(path.is_dir() for path in cache.glob("shards/*"))
    remote.write(shard, good)
    index = remote.read(INDEX)
    assert index is not None
    remote.write(INDEX, index.replace(b'"tokens": ', b'"tokens":  ', 1))
    with pytest.raises(InputError, match=r"index.json: damaged"):
        local_shards(remote.url)
    remote.write(INDEX, index)
    assert verify(local_shards(remote.url))


@pytest.mark.parametrize("url", ["nosuch://bucket/a", "memory://"])
def test_no_such_storage_is_one_line(url):
    with pytest.raises(InputError, match=url.split(":")[0]) as caught:
        local_shards(url)
    assert "\n" not in str(caught.value)


def test_another_machine_goes_on(corpus, tmp_path, bucket):
    """The run directory is gone: recipe, events and checkpoint come from the copies."""
    whole, first = tmp_path / "whole", tmp_path / "first"
    recipe = tiny_recipe(corpus, steps=8, evaluations=2)
    quick = {"workers": 0, "tensorboard": False, "log_every": 0.0, "checkpoint_minutes": 0.0}
    fields = {name: value for name, value in vars(recipe).items() if value not in (None, ())}
    fields["betas"] = "0.9 0.98"
    common = ["--workers", "0", "--copy-to", f"{bucket}/run"]
    assert main([*arguments(fields, whole), "--workers", "0"]) == 0
    first.mkdir()
    run = Pretraining(recipe, RunSettings(output=first, copy_to=f"{bucket}/run", **quick))
    (first / "recipe.yaml").write_text(recipe.to_yaml())
    run.watch = lambda event, values: setattr(
        run.stop, "signal", 15 if event == "step" and values["step"] == 4 else run.stop.signal
    )
    run.run()
    assert run.progress.step == 4
    shutil.rmtree(first)
    second = tmp_path / "second"
    assert main([*arguments({}, second, "--resume"), *common]) == 0
    assert weights(second) == weights(whole)
    assert steps_and_losses(second) == steps_and_losses(whole)


def test_copies_pass_over_damaged_and_unfinished_ones(tmp_path, bucket):
    here = tmp_path / "here"
    copies = RunCopies(here, f"{bucket}/run", keep=3)
    for step in (1, 2, 3, 4, 5):
        copies.put(at_step(step).save(here / "checkpoints", step, keep=9))
    place = RemoteDirectory(f"{bucket}/run/checkpoints")
    assert place.names() == ["step-00000003", "step-00000004", "step-00000005"]
    fsspec.filesystem("memory").rm(f"{(place / 'step-00000005').path}/manifest.json")
    state = (place / "step-00000004").read("state.json")
    assert state is not None
    (place / "step-00000004").write("state.json", state.replace(b"4", b"5"))
    other, warnings = tmp_path / "other", []
    assert RunCopies(other, f"{bucket}/run", keep=3).bring_back(warnings.append)
    (warning,) = warnings
    assert "step-00000004" in warning
    assert "state.json" in warning
    loaded = Trainee(seed=1)
    assert loaded.load(other / "checkpoints") == ({"step": 3}, [])
    assert same(loaded, at_step(3))
    assert not RunCopies(tmp_path / "none", f"{bucket}/empty", keep=3).bring_back()


def test_storage_that_fails_in_mid_run_is_a_warning(corpus, tmp_path, bucket, monkeypatch):
    calls = iter(range(10**6))
    real = RemoteDirectory.put

    def put(self, directory, *, manifest):
        if next(calls) == 1:
            raise InputError(f"{self.url}: connection lost")
        real(self, directory, manifest=manifest)

    monkeypatch.setattr(RemoteDirectory, "put", put)
    said = []
    settings = RunSettings(
        output=tmp_path / "run", copy_to=f"{bucket}/run", workers=0, tensorboard=False,
        checkpoint_minutes=0.0,
    )  # fmt: skip
    settings.output.mkdir()
    run = Pretraining(
        tiny_recipe(corpus, steps=6), settings, watch=lambda e, v: said.append((e, v))
    )
    assert run.run().step == 6
    (warning,) = [values["message"] for event, values in said if event == "warning"]
    assert "connection lost" in warning
    assert "step-00000006" in RemoteDirectory(f"{bucket}/run/checkpoints").names()
