"""Which weights are used at which depth, as data.

Lan et al. 2020, section 3.1 and Table 4: everything shared, attention only, feed-forward only,
nothing, or N groups of M layers. A model is the same loop over another plan, BERT included.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

from litebert.errors import InputError

Sharing = Literal["all", "attention", "feed_forward", "none", "groups"]


@dataclass(frozen=True)
class SharingPlan:
    """One (attention index, feed-forward index) pair per application of a block."""

    steps: tuple[tuple[int, int], ...]

    @classmethod
    def make(
        cls, sharing: Sharing, *, depth: int, groups: int = 1, inner_blocks: int = 1
    ) -> "SharingPlan":
        """The plan of a sharing strategy.

        `groups` counts the groups of `sharing="groups"`: layer l uses group l * groups // depth,
        in integers, since Google's float arithmetic misplaces some layers. `inner_blocks` is
        Google's `inner_group_num`: every block of a group runs at every layer, one after another.

        Raises InputError when the numbers do not fit each other.
        """
        if sharing not in get_args(Sharing):
            raise InputError(f"sharing={sharing!r} is not one of {', '.join(get_args(Sharing))}")
        if depth < 1 or inner_blocks < 1:
            raise InputError(f"depth={depth} and inner_blocks={inner_blocks} must be at least 1")
        if sharing == "groups" and not 1 <= groups <= depth:
            raise InputError(f"groups={groups} must lie between 1 and depth={depth}")
        if sharing in ("attention", "feed_forward") and inner_blocks > 1:
            raise InputError(f"inner_blocks={inner_blocks} needs whole blocks, not {sharing!r}")
        group_count = {"all": 1, "none": depth, "groups": groups}.get(sharing, depth)
        steps = []
        for layer in range(depth):
            group = layer * group_count // depth
            for inner in range(inner_blocks):
                block = group * inner_blocks + inner
                attention = 0 if sharing == "attention" else block
                feed_forward = 0 if sharing == "feed_forward" else block
                steps.append((attention, feed_forward))
        return cls(tuple(steps))

    @property
    def attentions(self) -> int:
        """How many sets of attention weights the plan uses."""
        return 1 + max(attention for attention, _ in self.steps)

    @property
    def feed_forwards(self) -> int:
        """How many sets of feed-forward weights the plan uses."""
        return 1 + max(feed_forward for _, feed_forward in self.steps)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)
