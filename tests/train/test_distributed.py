"""Several processes take the same steps over the same batches as one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from litebert.train.events import read_events
from tiny_runs import arguments, last_step, start, steps_and_losses, tiny_fields, wait_until

STEPS = 12


@pytest.fixture(scope="module")
def fields(corpus):
    """A recipe with dropout, four batches a step and sentences in some batches only."""
    return tiny_fields(corpus, steps=STEPS, accumulation=4, batch_tokens=64, evaluations=2)


def run(fields, output, log, *flags):
    process = start(arguments(fields, output, "--workers", 0, *flags), log)
    return process.wait(), log.read_text()


def differences(one, other):
    pairs = zip(steps_and_losses(one), steps_and_losses(other), strict=True)
    return [abs(a[1] - b[1]) if a[0] == b[0] else float("inf") for a, b in pairs]


def test_ranks_do_not_change_the_losses(fields, tmp_path):
    outputs = {}
    for devices in (1, 2, 4):
        outputs[devices] = tmp_path / str(devices)
        code, printed = run(fields, outputs[devices], tmp_path / "log", "--devices", devices)
        assert code == 0, printed
    for devices in (2, 4):
        started = read_events(outputs[devices] / "events.jsonl")[0]
        assert started["ranks"] == devices
        found = differences(outputs[1], outputs[devices])
        assert len(found) == STEPS + 2
        assert max(found) < 1e-5


def test_other_number_of_ranks_after_a_stop(fields, tmp_path):
    """2, then 1, then 4 processes: the run goes on with the batches that come next."""
    whole, parts, log = tmp_path / "whole", tmp_path / "parts", tmp_path / "log"
    assert run(fields, whole, log)[0] == 0
    process = start(arguments(fields, parts, "--workers", 0, "--devices", 2), log)
    wait_until(process, lambda: last_step(parts) >= 2, log)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 143, log.read_text()
    assert "--resume" in log.read_text()
    stopped = last_step(parts)
    assert 2 <= stopped < STEPS
    process = start(arguments({}, parts, "--workers", 0, "--resume"), log)
    wait_until(process, lambda: last_step(parts) >= stopped + 2, log)
    process.send_signal(signal.SIGINT)
    process.wait()
    assert run({}, parts, log, "--resume", "--devices", 4)[0] == 0, log.read_text()
    assert max(differences(whole, parts)) < 1e-5


def test_lost_rank_restarts_the_run(fields, tmp_path):
    """SIGKILL of the second process: all are restarted from the newest checkpoint."""
    whole, output, log = tmp_path / "whole", tmp_path / "killed", tmp_path / "log"
    assert run(fields, whole, log)[0] == 0
    flags = ["--workers", 0, "--devices", 2, "--max-restarts", 1]
    process = start(arguments(fields, output, *flags), log)
    wait_until(process, lambda: last_step(output) >= 3, log)
    kill_rank(process.pid, 1)
    assert process.wait() == 0, log.read_text()
    assert any(e["event"] == "resume" for e in read_events(output / "events.jsonl"))
    assert max(differences(whole, output)) < 1e-5


def kill_rank(launcher: int, rank: int) -> None:
    """SIGKILL the child of a launcher that has this rank in its environment."""
    import os
    from pathlib import Path

    for children in Path(f"/proc/{launcher}/task").glob("*/children"):
        for child in map(int, children.read_text().split()):
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                os.kill(child, signal.SIGKILL)
                return
    raise AssertionError(f"no process of rank {rank}")


def test_too_few_batches_for_the_ranks(fields, tmp_path):
    output, log = tmp_path / "run", tmp_path / "log"
    code, printed = run({**fields, "accumulation": 1}, output, log, "--devices", 2)
    assert code == 2
    lines = [line for line in printed.splitlines() if "accumulation=2" in line]
    assert len(lines) == 1
    assert "Traceback" not in printed
    assert not output.exists()


def test_results_are_printed_once(fields, tmp_path):
    output, log = tmp_path / "run", tmp_path / "log"
    code, printed = run({**fields, "steps": 1}, output, log, "--devices", 2, "--json")
    assert code == 0
    results = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    assert len(results) == 1


NAMES_OF_THREADS = """
import os, sys
from pathlib import Path
from litebert.cli.main import main
code = main(sys.argv[1:])
names = [task.read_text().strip() for task in Path("/proc/self/task").glob("*/comm")]
Path(os.environ["PLACE"], os.environ["RANK"]).write_text(" ".join(names))
sys.exit(code)
"""


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="needs /proc to name threads")
def test_ranks_end_their_threads(fields, tmp_path):
    """One that lets go of a tensor while the interpreter shuts down aborts a finished run."""
    script = tmp_path / "names.py"
    script.write_text(NAMES_OF_THREADS)
    place = ["--nproc-per-node", "2", "--rdzv-backend", "c10d"]
    place += ["--rdzv-endpoint", "127.0.0.1:0", "--local-addr", "127.0.0.1"]
    argv = arguments({**fields, "steps": 2}, tmp_path / "run", "--workers", "0")
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", *place, str(script), *argv],
        capture_output=True,
        text=True,
        env={**os.environ, "PLACE": str(tmp_path), "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    for rank in "01":
        assert "gloo" not in (tmp_path / rank).read_text()
