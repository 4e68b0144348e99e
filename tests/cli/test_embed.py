"""`litebert embed` from the command line: vectors as the engine gives them, bad input refused."""

import contextlib
import io
import json
import os
import pty
import subprocess
import sys
import threading

import numpy as np
import pytest

import litebert
from litebert.cli.main import main
from tiny_runs import WORDS, tiny_tokenizer

SHAPE = litebert.ModelConfig(
    hidden_size=32, heads=2, depth=2, inner_size=64, embedding_size=16, vocab_size=65,
    max_positions=32,
)  # fmt: skip
TEXTS = [" ".join(WORDS[start : start + 4]) for start in range(5)]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    place = tmp_path_factory.mktemp("model")
    litebert.save(litebert.build(SHAPE, seed=1), tiny_tokenizer(place), place / "model")
    return place / "model"


def test_every_kind_of_file_and_standard_input(model, tmp_path, capsys, monkeypatch):
    expected = litebert.Engine.load(model, precision="fp32").embed(TEXTS)
    (tmp_path / "a.txt").write_text("\n".join(TEXTS) + "\n")
    lines = [json.dumps({"said": text}) for text in TEXTS]
    (tmp_path / "b.jsonl").write_text("\n".join(lines) + "\n")
    (tmp_path / "c.csv").write_text("text\n" + "\n".join(TEXTS) + "\n")
    for name, more in {"a.txt": [], "b.jsonl": ["--column", "said"], "c.csv": []}.items():
        out = tmp_path / f"{name}.npy"
        argv = ["embed", str(model), str(tmp_path / name), "--precision", "fp32", *more]
        assert main([*argv, "--output", str(out)]) == 0
        np.testing.assert_allclose(np.load(out), expected, atol=1e-5)
        assert "5 vectors" in capsys.readouterr().out
    typed = io.TextIOWrapper(io.BytesIO(("\n".join(TEXTS) + "\n").encode()))
    monkeypatch.setattr(sys, "stdin", typed)
    assert main(["embed", str(model), "-", "--precision", "fp32", "--depth", "1", "--raw"]) == 0
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    engine = litebert.Engine.load(model, precision="fp32")
    np.testing.assert_allclose(found, engine.embed(TEXTS, depth=1, normalise=False), atol=1e-5)


def test_only_newlines_end_a_text(model, tmp_path):
    (tmp_path / "odd.txt").write_bytes("\ufeffw1\u2028w2\r\n\nw3\x0cw4\n".encode())
    out = tmp_path / "odd.npy"
    assert main(["embed", str(model), str(tmp_path / "odd.txt"), "--output", str(out),
                 "--precision", "fp32"]) == 0  # fmt: skip
    expected = litebert.Engine.load(model, precision="fp32").embed(["w1\u2028w2", "", "w3\x0cw4"])
    np.testing.assert_allclose(np.load(out), expected, atol=1e-5)


def test_a_text_that_is_cut_is_said(model, tmp_path, capsys):
    (tmp_path / "long.txt").write_text(" ".join(WORDS) + "\n")
    assert main(["embed", str(model), str(tmp_path / "long.txt")]) == 0
    assert "warning: 1 texts are cut to 32 tokens" in capsys.readouterr().err


def test_results_go_to_standard_output_beside_a_bar(model, tmp_path):
    (tmp_path / "a.txt").write_text("w1\n" * 300)
    seen, terminal = pty.openpty()
    done = subprocess.Popen(
        [sys.executable, "-m", "litebert", "embed", model, tmp_path / "a.txt"],
        stdout=subprocess.PIPE,
        stderr=terminal,
        env=os.environ | {"TERM": "xterm"},
    )
    os.close(terminal)
    shown, found = b"", []
    reader = threading.Thread(target=lambda: found.append(done.stdout.read()))
    reader.start()
    with contextlib.suppress(OSError):  # what a terminal ends with
        while piece := os.read(seen, 4096):
            shown += piece
    reader.join()
    assert done.wait() == 0
    assert len(found[0].splitlines()) == 300
    assert b"300 rows" in shown
    assert b"[0." not in shown


def test_a_full_disk_is_said(model, tmp_path):
    (tmp_path / "a.txt").write_text("w1\n" * 500)
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "litebert", "embed", model, tmp_path / "a.txt"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert done.stderr == "litebert embed: the disk is full: make room\n"


@pytest.mark.parametrize(
    ("name", "content", "more", "message"),
    [
        ("no.txt", None, [], "cannot be read"),
        ("empty.txt", b"", [], "no text in it"),
        ("bytes.txt", b"\xff\xfe\x00", [], "bytes.txt:1: text that is not UTF-8"),
        ("a.csv", b"words\nw1\n", [], "no column 'text'"),
        ("a.txt", b"w1\n", ["--output", "x.bin"], "name a .npy file"),
        ("b.txt", b"w1\n", ["--depth", "0"], "at least 1"),
        ("c.txt", b"w1\n", ["--output", "{here}/c.txt/v.npy"], "c.txt is a file, not a folder"),
        ("d.npy/e.txt", b"w1\n", ["--output", "{here}/d.npy"], "d.npy: is a folder"),
    ],
)
def test_bad_input_is_one_line(model, tmp_path, capsys, name, content, more, message):
    if content is not None:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(content)
    more = [word.format(here=tmp_path) for word in more]
    assert main(["embed", str(model), str(tmp_path / name), *more]) == 2
    printed = capsys.readouterr().err
    assert message in printed
    assert printed.count("\n") == 1
