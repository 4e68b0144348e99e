"""Whole studies on a small text: cells, rates, claims, pages; killed and resumed."""

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

import litebert
from litebert.cli.main import main
from litebert.config import ModelConfig
from litebert.errors import DivergenceError, InputError
from litebert.study.cell import Cell, describe_cell, write_result
from litebert.study.corpus import StudyCorpus, study_corpus
from litebert.study.engine import run_cells, waves
from litebert.study.ladder import Ladder
from litebert.study.registry import STUDIES
from litebert.study.run_cell import run_cell
from litebert.study.scale import SCALES, Scale
from litebert.study.study import Budget, Variant, cells_of, chosen_rates, sweep_cells
from litebert.text.shards import Shards
from litebert.train.finetune_recipe import FinetuneRecipe

TINY = Scale(
    name="cpu",
    shape=ModelConfig(hidden_size=32, heads=2, depth=2, inner_size=64, embedding_size=8),
    embedding_sizes=(4, 8, 16, 32),
    depths=(1, 2, 3, 4),
    widths=(32, 64, 128, 192),
    vocab_size=1000,
    tokens=6000,
    minutes=0.02,
    task_recipe=FinetuneRecipe(steps=2),
    recipe={"batch_tokens": 512, "max_length": 64, "mask_rate": 0.2, "precision": "fp32"},
    batches=2,
    sweep=(0.5, 2.0),
    seeds=2,
    threads=1,
)
CORPUS = StudyCorpus(Path("train"), Path("valid"), Path("thinner"), 120)


@pytest.fixture
def text(tmp_path):
    draw = np.random.default_rng(0)
    words = ["".join(draw.choice(list("abcdefghij"), 4)) for _ in range(60)]
    folder = tmp_path / "text"
    folder.mkdir()
    documents = [
        "\n".join(" ".join(draw.choice(words, 12)) + "." for _ in range(8)) for _ in range(120)
    ]
    (folder / "one.txt").write_text("\n\n".join(documents))
    return folder


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(SCALES, "cpu", TINY)


@pytest.fixture
def in_this_process(monkeypatch):
    """Cells one after another, without what takes seconds: starting, pages of runs, ceilings."""

    def run(study, cells, *, on_done, **_):
        for cell in cells:
            on_done(cell, run_cell(study, cell.name))

    monkeypatch.setattr("litebert.study.engine._as_processes", run)
    monkeypatch.setattr("litebert.runs.pretraining.write_report", lambda *_: None)
    monkeypatch.setattr("litebert.train.pretrain.product_ceiling", lambda *_: 1e12)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", STUDIES)
def test_claims_are_about_variants_that_exist(name, scale):
    study, variants = STUDIES[name], STUDIES[name].variants(SCALES[scale])
    names = [variant.name for variant in variants]
    assert len(names) == len(set(names))
    assert set(study.quick) <= set(names)
    for claim in study.claims(SCALES[scale]):
        for contrast in claim.contrasts:
            assert set(contrast.weights) <= set(names), claim.name
    cells = cells_of(variants, Budget(scale=SCALES[scale], corpus=CORPUS), seeds=2, rates={})
    assert len({cell.name for cell in cells}) == 2 * len(names)
    assert [cell for wave in waves(cells) for cell in wave if cell.starts_from is None]
    for variant in variants:
        assert variant.shape.plan


def test_equal_flops_and_rates():
    small = replace(TINY.shape, hidden_size=64, inner_size=128)
    variants = [
        Variant(name="a", shape=TINY.shape),
        Variant(name="b", shape=small),
        Variant(name="c", shape=small, starts_from="b"),
    ]
    budget = Budget(scale=TINY, corpus=CORPUS, equal="flops")
    cells = cells_of(variants, budget, seeds=1, rates={"b": 2.0})
    flops = [
        cell.recipe["tokens"]
        * litebert.model.flops.training_flops(cell.shape, length=64, mask_rate=102 / 512)
        for cell in cells
    ]
    assert flops[0] == pytest.approx(flops[1], rel=1e-3)
    assert [cell.rates for cell in cells] == [1.0, 2.0, 1.0]
    sweep = sweep_cells(variants, Budget(scale=TINY, corpus=CORPUS))
    assert [(cell.variant, cell.rates) for cell in sweep] == [
        ("a", 0.5), ("a", 2.0), ("b", 0.5), ("b", 2.0),
    ]  # fmt: skip
    assert all(cell.recipe["tokens"] == 1500 for cell in sweep)
    losses = {("a", 0.5): 3.0, ("a", 2.0): 2.0, ("b", 0.5): 1.0, ("b", 2.0): 1.5}
    results = [
        {"variant": v, "rates": r, "figures": {"mlm_loss": loss}} for (v, r), loss in losses.items()
    ]
    assert chosen_rates(variants, results) == {"a": 2.0, "b": 0.5, "c": 0.5}


def test_waves_respect_what_starts_from_what():
    def cell(name, start=None):
        return Cell(variant=name, seed=0, shape=TINY.shape, recipe={}, starts_from=start)

    chain = [cell("c", "b-seed-0"), cell("a"), cell("b", "a-seed-0"), cell("d")]
    names = [[member.variant for member in wave] for wave in waves(chain)]
    assert names == [["a", "d"], ["b"], ["c"]]


def test_a_cell_starts_as_soon_as_what_it_starts_from_is_done(tmp_path, monkeypatch):
    cells = [
        Cell(variant=name, seed=0, shape=TINY.shape, recipe={}, starts_from=start)
        for name, start in (("long", None), ("a", None), ("b", "a-seed-0"), ("c", "b-seed-0"))
    ]
    (tmp_path / "ladder.json").write_text("{}")
    events, lasts = [], {"long-seed-0": 9, "a-seed-0": 1, "b-seed-0": 1, "c-seed-0": 1}

    class Process:
        """Stands in for a cell's process; asked so many times, it is done."""

        def __init__(self, command, *, cwd, **_):
            assert Path(cwd) == tmp_path
            self.name = command[-1]
            self.left = lasts[self.name]
            events.append(f"{self.name} starts")

        def poll(self):
            self.left -= 1
            if self.left:
                return None
            events.append(f"{self.name} ends")
            write_result(tmp_path, self.name, {"figures": None})
            return 0

    monkeypatch.setattr("litebert.study.engine.subprocess.Popen", Process)
    run_cells(tmp_path, cells, engine="local", parallel=2, threads=1)
    order = " ".join(event.replace("-seed-0", "") for event in events)
    assert order == ("long starts a starts a ends b starts b ends c starts c ends long ends")


@pytest.mark.parametrize(
    ("name", "extra", "runs"),
    [
        ("sharing", ["--quick"], 4 * 2),
        ("depth", ["--seeds", "1"], 2 + 4),
        ("objective", ["--seeds", "1"], 6 + 3),
        ("equal-time", ["--seeds", "1"], 4 + 2),
    ],
)
def test_a_study_end_to_end(name, extra, runs, text, tiny, in_this_process, tmp_path, capsys):
    output = tmp_path / "study"
    argv = ["study", name, "--data", str(text), "--output", str(output), *extra]
    assert main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    if name == "depth":
        # a model goes on from the one before: its figures count all text that it has seen
        tokens = [cell["tokens"] for cell in found["cells"]]
        assert all(later > before for before, later in pairwise(tokens))
    assert len(found["cells"]) + len(found["sweep"]) == runs
    variants = {v.name: v for v in STUDIES[name].variants(TINY)}
    # the text has no 1,000 pieces: it gets as many as it allows
    vocabulary = Shards.open(output / "corpus/train").vocab_size
    assert 50 < vocabulary < 100
    for cell in found["cells"]:
        shape = replace(variants[cell["variant"]].shape, vocab_size=vocabulary)
        assert cell["parameters"] == sum(p.numel() for p in litebert.build(shape).parameters())
        assert set(cell["figures"]) >= {"mlm_loss", "sop_accuracy", "nsp_accuracy"}
        assert len(cell["similarity"]["cosine"]) == len(shape.plan)
    verdicts = {claim["verdict"] for claim in found["claims"]}
    assert verdicts <= {"holds", "does not hold", "undecided", "not run"}
    page = (output / "report.html").read_text()
    for claim in found["claims"]:
        assert claim["claim"].split(" (")[0] in page
    assert page.index("Claims") < page.index("Figures")
    assert "pictures/mlm_loss.svg" in (output / "report.md").read_text()
    # a second call finds everything done
    before = (output / "results.json").read_bytes()
    assert main([*argv, "--json"]) == 0
    assert (output / "results.json").read_bytes() == before
    assert main(["study", "report", str(output)]) == 0
    assert main(["study", "compare", str(output), str(output)]) == 0


def test_every_so_manieth_document(text, tmp_path):
    corpus = study_corpus(text, tmp_path / "corpus", vocab_size=60)
    corpus.thin(8)
    assert corpus.fields()["data"] == str(tmp_path / "corpus/train")
    whole, thinned = (Shards.open(corpus.fields(every=n)["data"]).shards[0] for n in (1, 8))

    def documents(shard):
        ends = shard.segments[shard.documents]
        paragraphs = shard.segments[shard.paragraphs]
        return [
            (
                shard.tokens[first:last].tolist(),
                (paragraphs[(paragraphs >= first) & (paragraphs <= last)] - first).tolist(),
            )
            for first, last in pairwise(ends)
        ]

    assert documents(thinned) == documents(whole)[::8]
    before = (tmp_path / "corpus/train-every-8/index.json").stat().st_mtime_ns
    corpus.thin(8)
    assert (tmp_path / "corpus/train-every-8/index.json").stat().st_mtime_ns == before


def test_the_same_runs_are_taken_from_another_study(text, tiny, in_this_process, tmp_path, capsys):
    shards = tmp_path / "shards"
    study_corpus(text, shards, vocab_size=60)

    def study(name, *extra):
        argv = ["study", name, "--data", str(shards), "--output", str(tmp_path / name)]
        assert main([*argv, "--quick", "--seeds", "1", "--json", *extra]) == 0
        return json.loads(capsys.readouterr().out)

    first = study("similarity")
    again = study("sharing", "--reuse", str(tmp_path / "similarity"))
    names = {"all shared": "all shared, small E", "nothing shared": "nothing shared, small E"}
    begun = list((tmp_path / "sharing/cells").glob("*/run"))
    assert len(begun) == 4 - 2
    by_name = {cell["variant"]: cell for cell in again["cells"]}
    assert len(first["cells"]) == 2
    for cell in first["cells"]:
        taken = by_name[names[cell["variant"]]]
        source = {"taken_from": "similarity"}
        assert taken == cell | {"variant": taken["variant"]} | source


def test_commands_of_the_page(text, tiny, in_this_process, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text.rename(tmp_path / "my-text")
    page = Path(__file__).parents[2] / "docs/studies.md"
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 5
    for command in commands:
        if "studies/sharing-large" in command:
            shutil.copytree("studies/sharing", "studies/sharing-large")
        program, *argv = shlex.split(command)
        assert program == "litebert"
        assert main(argv) == 0, command
    assert Path("studies/sharing/report.html").is_file()


DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from test_study import TINY
from litebert.study.scale import SCALES
SCALES["cpu"] = TINY
from litebert.cli.main import main
sys.exit(main(sys.argv[2:]))
"""


def test_killed_twice_it_ends_as_if_it_had_not_been(text, tiny, tmp_path, capsys):
    def argv(output):
        return ["study", "sharing", "--quick", "--seeds", "1", "--data", str(text),
                "--output", str(output)]  # fmt: skip

    assert main([*argv(tmp_path / "whole"), "--json"]) == 0
    output = tmp_path / "killed"
    place = os.path.dirname(__file__)
    for done in (1, 2):
        process = subprocess.Popen([sys.executable, "-c", DRIVER, place, *argv(output)])
        deadline = time.monotonic() + 120
        while len(list(output.glob("cells/*/result.json"))) < done and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert main([*argv(output), "--json"]) == 0
    results = [
        json.loads((directory / "results.json").read_text())
        for directory in (tmp_path / "whole", output)
    ]
    for values in results:
        for cell in values["cells"]:
            del cell["seconds"]
            for point in cell["curve"]:
                del point["seconds"]
    assert results[0]["cells"] == results[1]["cells"]
    assert results[0]["claims"] == results[1]["claims"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["sharign"], "did you mean sharing?"),
        (["sharing", "--data", "nowhere", "--output", "x"], "no text found"),
        (["sharing", "--data", "{text}", "--output", "x", "--seeds", "0"], "must be above 0"),
        (["sharing", "--data", "{text}", "--output", "x", "--minutes", "1"], "--equal minutes"),
        (["equal-time", "--data", "{text}", "--output", "x", "--tokens", "9"], "at equal time"),
        (["sharing", "--data", "{text}", "--output", "x", "--reuse", "y"], "no study there"),
        (["sharing", "--data", "{text}", "--output", "x", "--blimp", "y"], "y"),
        (["report", "nowhere"], "no results.json"),
        (["compare", "one"], "two directories or more"),
        (["overview"], "give the folder"),
        (["overview", "."], "no directory of a study"),
    ],
)
def test_bad_input_is_one_line(argv, message, text, tiny, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["study", *(word.format(text=text) for word in argv)]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("One. Two.\nThree.\n\nFour.\nFive.\n\nSix.", "give at least 4"),
        ("\n\n".join(["A sentence alone, here."] * 50), "no document of train has two sentences"),
    ],
)
def test_text_that_no_study_can_use(content, message, tmp_path):
    (tmp_path / "text.txt").write_text(content)
    with pytest.raises(InputError, match=message):
        study_corpus(tmp_path / "text.txt", tmp_path / "corpus", vocab_size=60)


def test_twenty_documents_and_a_killed_preparation(text, tmp_path):
    documents = (text / "one.txt").read_text().split("\n\n")[:20]
    (tmp_path / "few.txt").write_text("\n\n".join(documents))
    left = tmp_path / "corpus/train"
    left.mkdir(parents=True)
    (left / "shard-00000.safetensors").write_bytes(b"half of it")
    corpus = study_corpus(tmp_path / "few.txt", tmp_path / "corpus", vocab_size=60)
    counts = [Shards.open(place).num_documents for place in (corpus.train, corpus.valid)]
    assert counts == [18, 2]
    thinned = tmp_path / "corpus/train-every-8"
    thinned.mkdir()
    (thinned / "shard-00000.safetensors").write_bytes(b"half of it")
    corpus.thin(8)
    assert Shards.open(thinned).num_documents == 3


def test_a_mistake_takes_no_directory(text, tiny, in_this_process, tmp_path, capsys):
    argv = ["study", "similarity", "--data", str(text), "--output", str(tmp_path / "s"), "--seeds"]
    assert main([*argv, "1", "--tasks", "sst-2=nowhere"]) == 2
    assert not list((tmp_path / "s").glob("*.json"))
    assert main([*argv, "1", "--json"]) == 0


def test_a_rate_at_which_a_run_diverges_is_not_chosen(text, tiny, tmp_path, monkeypatch):
    corpus = study_corpus(text, tmp_path / "corpus", vocab_size=60)
    variants = STUDIES["similarity"].variants(TINY)
    cell = sweep_cells(variants, Budget(scale=TINY, corpus=corpus))[0]
    describe_cell(tmp_path, cell)
    Ladder(train=corpus.train, valid=corpus.valid, max_length=64, batches=2).write(
        tmp_path / "ladder.json"
    )

    def diverges(recipe, settings):
        raise DivergenceError("not finite")

    monkeypatch.setattr("litebert.study.run_cell.pretrain", diverges)
    found = run_cell(tmp_path, cell.name)
    assert found is not None
    assert found["figures"] == {}
    good = {"variant": cell.variant, "rates": 2.0, "figures": {"mlm_loss": 9.0}}
    assert chosen_rates(variants, [found, good])[cell.variant] == 2.0
    full = replace(cell, sweep=False)
    describe_cell(tmp_path, full)
    with pytest.raises(DivergenceError):
        run_cell(tmp_path, full.name)


def test_another_study_is_not_overwritten(text, tiny, tmp_path, capsys):
    argv = ["study", "similarity", "--data", str(text), "--output", str(tmp_path / "s")]
    (tmp_path / "s").mkdir()
    (tmp_path / "s/study.json").write_text("{}")
    assert main(argv) == 2
    assert "holds another study" in capsys.readouterr().err
