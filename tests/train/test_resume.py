"""A run that is killed or stopped and resumed ends with the weights of an undisturbed one."""

import random
import shutil

import pytest

from litebert.cli.main import main
from litebert.train.events import read_events
from tiny_runs import (
    arguments,
    kill,
    kill_inside_checkpoint,
    last_step,
    start,
    steps_and_losses,
    tiny_fields,
    wait_until,
    weights,
)

STEPS = 60


@pytest.fixture(scope="module")
def fields(corpus):
    return tiny_fields(corpus, steps=STEPS, evaluations=3)


@pytest.fixture(scope="module")
def undisturbed(fields, tmp_path_factory):
    """The run that nothing happens to, in this process."""
    output = tmp_path_factory.mktemp("undisturbed") / "run"
    assert main(arguments(fields, output)) == 0
    return output


def resume(output) -> int:
    return main(arguments({}, output, "--resume"))


def assert_as_undisturbed(output, undisturbed) -> None:
    assert weights(output) == weights(undisturbed)
    assert steps_and_losses(output) == steps_and_losses(undisturbed)


def test_undisturbed_run_logs_every_step_once(undisturbed):
    events = read_events(undisturbed / "events.jsonl")
    for kind in ("step", "checkpoint"):
        assert [e["step"] for e in events if e["event"] == kind] == list(range(1, STEPS + 1))
    assert [e["step"] for e in events if e["event"] == "evaluation"] == [20, 40, 60]


def test_killed_twice_and_resumed(fields, undisturbed, tmp_path):
    output, log = tmp_path / "run", tmp_path / "log"
    moment = random.Random().randrange(2, 12)
    process = start(arguments(fields, output), log)
    wait_until(process, lambda: last_step(output) >= moment, log)
    kill(process)
    process = start(arguments(fields, output, "--resume"), log)
    kill_inside_checkpoint(process, output, log)
    assert resume(output) == 0
    assert_as_undisturbed(output, undisturbed)
    assert not any(output.glob("checkpoints/.*"))


@pytest.mark.parametrize(("number", "code"), [(2, 130), (15, 143)], ids=["SIGINT", "SIGTERM"])
def test_signal_saves_says_how_to_go_on_and_loses_nothing(
    fields, undisturbed, tmp_path, number, code
):
    output, log = tmp_path / "run", tmp_path / "log"
    rarely = ["--checkpoint-minutes", "60"]
    process = start([*arguments(fields, output), *rarely], log)
    wait_until(process, lambda: last_step(output) >= 3, log)
    process.send_signal(number)
    assert process.wait() == code
    printed = log.read_text()
    assert f"go on with: litebert pretrain --output {output} --resume" in printed
    assert "Traceback" not in printed
    (saved,) = output.glob("checkpoints/*")
    last = read_events(output / "events.jsonl")[-1]
    assert last["event"] == "end"
    assert not last["finished"]
    assert saved.name == f"step-{last['step']:08d}"
    assert not (output / "model").exists()
    assert resume(output) == 0
    assert_as_undisturbed(output, undisturbed)


def test_killed_before_its_first_checkpoint_starts_over(fields, undisturbed, tmp_path):
    output = tmp_path / "run"
    output.mkdir()
    shutil.copy(undisturbed / "recipe.yaml", output)
    (output / "events.jsonl").write_text('{"event": "start", "step": 0}\n{"event": "step", "st')
    assert resume(output) == 0
    assert_as_undisturbed(output, undisturbed)


def test_resuming_a_finished_run_changes_nothing(undisturbed, tmp_path):
    output = tmp_path / "run"
    shutil.copytree(undisturbed, output)
    assert resume(output) == 0
    assert_as_undisturbed(output, undisturbed)


def test_damaged_newest_checkpoint_costs_only_time(undisturbed, tmp_path, capsys):
    output = tmp_path / "run"
    shutil.copytree(undisturbed, output)
    newest = output / f"checkpoints/step-{STEPS:08d}/optimizer.safetensors"
    content = newest.read_bytes()
    newest.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert resume(output) == 0
    assert "optimizer.safetensors does not have the sha256" in capsys.readouterr().err
    assert_as_undisturbed(output, undisturbed)
