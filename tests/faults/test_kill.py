"""SIGKILL at twenty random moments, four of them inside a checkpoint write, changes no bit.

A step is two batches and a batch reads several shards, so the moments fall inside both.
"""

import random
import time

import pytest

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

KILLS, IN_CHECKPOINTS = 20, 4
STEPS = 500


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("optimizer", ["muon", "lamb"])
def test_twenty_kills_and_the_same_weights(corpus, tmp_path, optimizer):
    fields = tiny_fields(
        corpus, steps=STEPS, optimizer=optimizer, accumulation=2, evaluations=4, lr=1e-3
    )
    log, undisturbed, killed = tmp_path / "log", tmp_path / "undisturbed", tmp_path / "killed"
    assert start(arguments(fields, undisturbed), log).wait() == 0, log.read_text()

    seed = random.randrange(10**6)
    print(f"moments of seed {seed}")
    draw = random.Random(seed)
    inside = set(draw.sample(range(KILLS), IN_CHECKPOINTS))
    for number in range(KILLS):
        again = ["--resume"] if number else []
        process = start(arguments(fields, killed, "--workers", draw.randrange(3), *again), log)
        if number in inside:
            kill_inside_checkpoint(process, killed, log)
        else:
            target = last_step(killed) + draw.randrange(1, 25)
            wait_until(process, lambda target=target: last_step(killed) >= target, log)
            time.sleep(draw.random() * 0.05)
            kill(process)
    assert 0 < last_step(killed) < STEPS
    assert start(arguments(fields, killed, "--resume"), log).wait() == 0, log.read_text()

    assert weights(killed) == weights(undisturbed)
    assert steps_and_losses(killed) == steps_and_losses(undisturbed)
    assert [step for step, _ in steps_and_losses(killed)][-1] == STEPS
