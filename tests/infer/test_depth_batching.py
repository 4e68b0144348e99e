"""Requests at different depths in one step answer as each would alone."""

import copy
import random
import sys
import threading
from dataclasses import dataclass

import pytest
import torch

import litebert
from litebert.config import ModelConfig
from litebert.errors import InputError
from litebert.infer import depth_batching
from litebert.infer.depth_batching import DepthBatcher
from litebert.infer.policies import DepthContinuous, LengthSorted, Static
from litebert.infer.prepare import prepare
from litebert.model.encoder import FILL_FROM, FILL_TO
from litebert.tasks.units import TokenSequence, packed_of

POLICIES = {
    "static": lambda: Static(200),
    "sorted": lambda: LengthSorted(200),
    "continuous": lambda: DepthContinuous(150, ageing=5.0),
}


def build(**changes) -> litebert.Model:
    shape = {"hidden_size": 32, "heads": 2, "depth": 4, "inner_size": 48, "embedding_size": 16}
    config = ModelConfig(**shape | {"vocab_size": 60, "max_positions": 80} | changes)
    return litebert.build(config, seed=2).eval()


def sequence(draw: random.Random) -> TokenSequence:
    length = draw.choice((1, 2, 3, 9, 20, 41, 80))
    return TokenSequence([draw.randrange(5, 60) for _ in range(length)], draw.randrange(length + 1))


@torch.inference_mode()
def alone(model: litebert.Model, asked: TokenSequence, depth: int | None) -> torch.Tensor:
    return model(packed_of([asked]), depth).hidden


@pytest.mark.parametrize("policy", POLICIES)
def test_ten_thousand_requests_with_cancellations(policy):
    draw, model = random.Random(7), build()
    kinds = [(sequence(draw), draw.choice((None, 1, 2, 3, 6))) for _ in range(200)]
    expected = [alone(model, *kind) for kind in kinds]
    # the engine's arithmetic and kernels against the model that is trained
    batcher = DepthBatcher(prepare(copy.deepcopy(model), "fp32"), POLICIES[policy]())
    under_way: dict[int, int] = {}
    answered, cancelled, worst, left = set(), set(), 0.0, 10_000 // len(POLICIES)
    while left or batcher.requests:
        for _ in range(min(left, draw.randrange(12))):
            kind = draw.randrange(len(kinds))
            under_way[batcher.submit(kinds[kind][0], depth=kinds[kind][1])] = kind
            left -= 1
        if batcher.requests and draw.random() < 0.2:
            number = draw.choice(list(batcher.requests))
            assert batcher.cancel(number)
            assert not batcher.cancel(number)
            cancelled.add(number)
        for answer in batcher.step():
            kind = under_way[answer.number]
            assert answer.layers == (kinds[kind][1] or 4)
            worst = max(worst, float((answer.hidden - expected[kind]).abs().max()))
            answered.add(answer.number)
    assert worst < 1e-5
    assert cancelled
    assert answered | cancelled == set(under_way)
    assert not answered & cancelled


def test_a_step_that_failed_can_be_taken_again(monkeypatch):
    draw, model = random.Random(5), build()
    asked = [sequence(draw) for _ in range(4)]
    batcher, found = DepthBatcher(model, Static(1000)), {}
    numbers = [batcher.submit(each) for each in asked[:2]]
    batcher.step()
    numbers += [batcher.submit(each) for each in asked[2:]]
    batcher.policy = Static(1000)  # takes the new ones along

    def fails(*_, **__):
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(model, "apply_step", fails)
        with pytest.raises(MemoryError):
            batcher.step()
    while len(batcher):
        found |= {answer.number: answer.hidden for answer in batcher.step()}
    for number, each in zip(numbers, asked, strict=True):
        torch.testing.assert_close(found[number], alone(model, each, None), atol=1e-5, rtol=0)


def test_a_rule_that_failed_loses_nobody():
    draw, model = random.Random(5), build()
    fails = iter([False, False, True])

    def leave(requests, _):
        if next(fails, False):
            raise MemoryError
        return [False] * len(requests)

    batcher = DepthBatcher(model, Static(1000), leave=leave)
    asked = [sequence(draw) for _ in range(2)]
    kinds = [(asked[0], None, True), (asked[1], 3, False)]
    numbers = [batcher.submit(each, depth=depth, may_leave=may) for each, depth, may in kinds]
    answers = batcher.step() + batcher.step()
    with pytest.raises(MemoryError):
        batcher.step()
    while len(batcher):
        answers += batcher.step()
    found = {answer.number: answer for answer in answers}
    for number, (each, depth, _) in zip(numbers, kinds, strict=True):
        assert found[number].layers == (depth or 4)
        expected = alone(model, each, depth)
        torch.testing.assert_close(found[number].hidden, expected, atol=1e-5, rtol=0)


def test_batches_that_are_filled_up():
    """bf16 in PyTorch: more than a thousand tokens are filled up to a size that is common."""
    draw, model = random.Random(2), build()
    model.compute_dtype = torch.bfloat16
    asked = [sequence(draw) for _ in range(90)]
    batcher = DepthBatcher(model, Static(100_000))
    numbers = {batcher.submit(each): each for each in asked[:80]}
    answers = batcher.step()
    # joined by others: what went on and what is new are filled up together
    batcher.policy = Static(100_000)
    numbers |= {batcher.submit(each): each for each in asked[80:]}
    while len(batcher):
        answers += batcher.step()
    assert sum(len(each.tokens) for each in asked) % FILL_TO
    assert sum(len(each.tokens) for each in asked[:80]) > FILL_FROM
    assert len(answers) == len(asked)
    for answer in answers:
        expected = alone(model, numbers[answer.number], None)
        torch.testing.assert_close(answer.hidden, expected, atol=0.06, rtol=0.06)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize(
    "changes",
    [
        {"sharing": "none"},
        {"sharing": "attention"},
        {"sharing": "groups", "groups": 2},
        {"inner_blocks": 2},
        {"embedding_projection": False, "embedding_size": 32},
    ],
)
def test_every_plan(policy, changes):
    draw, model = random.Random(3), build(**changes)
    asked = [sequence(draw) for _ in range(30)]
    batcher = DepthBatcher(model, POLICIES[policy]())
    numbers, answers = {}, []
    for each in asked:
        numbers[batcher.submit(each)] = each
        answers += batcher.step()
    while len(batcher):
        answers += batcher.step()
    assert len(answers) == len(asked)
    for answer in answers:
        expected = alone(model, numbers[answer.number], None)
        assert float((answer.hidden - expected).abs().max()) < 1e-5


def test_those_that_may_leave_do():
    model, draw = build(), random.Random(1)
    asked = [sequence(draw) for _ in range(20)]

    def leave(requests, pooled):
        assert all(each.may_leave for each in requests)
        assert pooled.shape == (len(requests), 32)
        return [each.done == 1 + each.tokens % 2 for each in requests]

    batcher = DepthBatcher(model, DepthContinuous(100), leave=leave)
    may = {batcher.submit(each, may_leave=number % 2 == 0): number for number, each in
           enumerate(asked)}  # fmt: skip
    answers = []
    while len(batcher):
        answers += batcher.step()
    for answer in answers:
        each = asked[may[answer.number]]
        leaves = may[answer.number] % 2 == 0
        assert answer.layers == (1 + len(each.tokens) % 2 if leaves else 4)
        expected = alone(model, each, answer.layers)
        assert float((answer.hidden - expected).abs().max()) < 1e-5


def test_others_submit_and_cancel_while_one_steps():
    batcher = DepthBatcher(build(), DepthContinuous(40))
    numbers, cancelled, found = [], set(), []

    def feed():
        for place in range(300):
            # its own: the last of all may be another feeder's
            number = batcher.submit(TokenSequence([5 + place % 50], 1))
            numbers.append(number)
            if place % 3 == 0 and batcher.cancel(number):
                cancelled.add(number)

    feeders = [threading.Thread(target=feed) for _ in range(3)]
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for feeder in feeders:
            feeder.start()
        while any(feeder.is_alive() for feeder in feeders) or len(batcher):
            found += [answer.number for answer in batcher.step()]
    finally:
        sys.setswitchinterval(before)
        for feeder in feeders:
            feeder.join()
    assert len(set(numbers)) == 900
    assert sorted(found) == sorted({*numbers} - cancelled)


def test_requests_that_come_while_others_are_looked_at():
    batcher = DepthBatcher(build(), Static(100))
    came = []

    class Layers(int):
        """As if another thread submitted when the number of layers is compared."""

        def __gt__(self, other):
            came.append(batcher.submit(TokenSequence([8], 1), depth=1))
            return int(self) > other

        def __le__(self, other):
            came.append(batcher.submit(TokenSequence([9], 1), depth=1))
            return int(self) <= other

    first = batcher.submit(TokenSequence([7], 1))
    batcher.requests[first].layers = Layers(1)
    assert [each.number for each in batcher.step()] == [first]
    assert len(came) >= 2
    assert [each.number for each in batcher.step()] == came


@pytest.mark.parametrize("cancelled", [True, False])
def test_who_is_cancelled_in_the_last_moment_gets_no_answer(monkeypatch, cancelled):
    batcher = DepthBatcher(build(), Static(100))
    number = batcher.submit(TokenSequence([7, 8], 2), depth=1)
    other = batcher.submit(TokenSequence([9], 1), depth=1)
    joined = depth_batching._joined

    def meanwhile(parts):
        if cancelled and number in batcher.requests:
            assert batcher.cancel(number)
        return joined(parts)

    monkeypatch.setattr(depth_batching, "_joined", meanwhile)
    assert [each.number for each in batcher.step()] == ([other] if cancelled else [number, other])
    assert not len(batcher)


def test_what_cannot_be_asked():
    model = build()
    batcher = DepthBatcher(model, Static(100))
    for tokens in ([], [7] * 81):
        with pytest.raises(InputError, match="1 to 80"):
            batcher.submit(TokenSequence(tokens, 0))
    with pytest.raises(InputError, match="at least 1"):
        batcher.submit(TokenSequence([7], 1), depth=0)
    with pytest.raises(InputError, match="shares all"):
        DepthBatcher(build(sharing="none"), Static(9)).submit(TokenSequence([7], 1), depth=2)
    assert batcher.step() == []


@dataclass(frozen=True)
class Waiting:
    number: int
    tokens: int
    work: int
    arrival: float = 0.0


def test_policies():
    requests = [Waiting(n, tokens, 4 * tokens) for n, tokens in enumerate((10, 90, 12, 80, 11))]
    first = Static(100)
    assert [each.number for each in first.choose(requests, 0.0)] == [0, 1]
    # runs to its end: nobody joins, and what has gone leaves a hole
    assert [each.number for each in first.choose(requests[1:], 0.0)] == [1]
    assert [each.number for each in first.choose(requests[2:], 0.0)] == [2, 3]
    assert [each.number for each in LengthSorted(100).choose(requests, 0.0)] == [0, 4, 2]
    assert [each.number for each in LengthSorted(100).choose(requests[1:], 0.0)] == [1]
    soonest = DepthContinuous(100)
    assert [each.number for each in soonest.choose(requests, 0.0)] == [0, 4, 2]
    ageing = DepthContinuous(100, ageing=100.0)
    old = [Waiting(0, 90, 360, arrival=0.0), Waiting(1, 10, 40, arrival=9.0)]
    assert [each.number for each in ageing.choose(old, 9.0)] == [0, 1]
    assert [each.number for each in ageing.choose(old[1:], 9.0)] == [1]
    for policy in (Static(5), LengthSorted(5), DepthContinuous(5)):
        assert policy.choose([], 0.0) == []
        assert len(policy.choose(requests, 0.0)) == 1
