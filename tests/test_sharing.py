"""Sharing plans: which weights each depth uses, for every strategy, in exact integers."""

from fractions import Fraction
from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from litebert import InputError, SharingPlan


@pytest.mark.parametrize(
    ("sharing", "pairs"),
    [
        ("all", [(0, 0), (0, 0), (0, 0), (0, 0)]),
        ("attention", [(0, 0), (0, 1), (0, 2), (0, 3)]),
        ("feed_forward", [(0, 0), (1, 0), (2, 0), (3, 0)]),
        ("none", [(0, 0), (1, 1), (2, 2), (3, 3)]),
    ],
)
def test_plans_of_the_paper(sharing, pairs):
    assert list(SharingPlan.make(sharing, depth=4)) == pairs


def test_groups_and_blocks_inside_a_group():
    plan = SharingPlan.make("groups", depth=4, groups=2, inner_blocks=2)
    blocks = [0, 1, 0, 1, 2, 3, 2, 3]  # both blocks of group 0 twice, then both of group 1
    assert list(plan) == [(block, block) for block in blocks]
    assert (plan.attentions, plan.feed_forwards, len(plan)) == (4, 4, 8)


def test_weights_in_use_are_counted_apart():
    plan = SharingPlan.make("attention", depth=12)
    assert (plan.attentions, plan.feed_forwards) == (1, 12)


@given(depth=st.integers(1, 80), data=st.data())
def test_groups_are_contiguous_and_all_used_as_exact_fractions_say(depth, data):
    groups = data.draw(st.integers(1, depth))
    plan = SharingPlan.make("groups", depth=depth, groups=groups)
    exact = [floor(Fraction(layer * groups, depth)) for layer in range(depth)]
    assert list(plan) == [(group, group) for group in exact]
    assert plan.attentions == groups


@pytest.mark.parametrize(("depth", "groups"), [(22, 22), (23, 23), (44, 22), (46, 23)])
def test_plans_that_floating_point_gets_wrong(depth, groups):
    """Google's int(l / L * G) misplaces layers of these; ours uses every group equally often."""
    google = [int(layer / depth * groups) for layer in range(depth)]
    ours = [group for group, _ in SharingPlan.make("groups", depth=depth, groups=groups)]
    assert google != ours
    assert all(ours.count(group) == depth // groups for group in range(groups))


@pytest.mark.parametrize(
    "wrong",
    [
        {"sharing": "everything", "depth": 2},
        {"sharing": "all", "depth": 0},
        {"sharing": "all", "depth": 2, "inner_blocks": 0},
        {"sharing": "groups", "depth": 2, "groups": 3},
        {"sharing": "groups", "depth": 2, "groups": 0},
        {"sharing": "attention", "depth": 2, "inner_blocks": 2},
    ],
)
def test_impossible_plans_are_refused(wrong):
    with pytest.raises(InputError):
        SharingPlan.make(wrong.pop("sharing"), **wrong)
