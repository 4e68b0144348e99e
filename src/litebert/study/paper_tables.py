"""Numbers of Lan et al. 2020 (arXiv 1909.11942), as printed; shown beside ours, never mixed.

Parameters in millions. Where the paper contradicts itself every number it gives is listed.
"""

from dataclasses import dataclass

from litebert.config import PRESETS, ModelConfig
from litebert.sharing import Sharing

# Table 1, in its order.
SIX = ("bert-base", "bert-large", "albert-base", "albert-large", "albert-xlarge", "albert-xxlarge")


@dataclass(frozen=True)
class Counted:
    """A model whose parameters the paper counts."""

    table: int
    name: str
    config: ModelConfig
    millions: tuple[int, ...]
    """What the paper prints; several numbers where it gives several."""


def counted_models() -> list[Counted]:
    """Every parameter count of Tables 1, 3, 4 and 12."""
    rows = [
        Counted(1, name, PRESETS[name], millions)
        for name, millions in (
            ("bert-base", (108,)),
            ("bert-large", (334,)),
            ("albert-base", (12,)),
            ("albert-large", (18,)),
            ("albert-xlarge", (60,)),
            # Table 1, section 3.2's text and Table 12 in turn
            ("albert-xxlarge", (235, 233, 225)),
        )
    ]
    sizes: tuple[tuple[Sharing, tuple[int, ...]], ...] = (
        ("none", (87, 89, 93, 108)),
        ("all", (10, 12, 16, 31)),
    )
    for sharing, counts in sizes:
        for width, millions in zip((64, 128, 256, 768), counts, strict=True):
            rows.append(_base(3, sharing, width, millions))
    strategies: tuple[Sharing, ...] = ("all", "attention", "feed_forward", "none")
    for width, counts in ((768, (31, 83, 57, 108)), (128, (12, 64, 38, 89))):
        for sharing, millions in zip(strategies, counts, strict=True):
            rows.append(_base(4, sharing, width, millions))
    for hidden, millions in ((1024, 18), (2048, 60), (4096, 225), (6144, 499)):
        shape = ModelConfig(hidden_size=hidden, heads=hidden // 64, depth=3, inner_size=4 * hidden)
        rows.append(Counted(12, f"3 layers, H = {hidden}", shape, (millions,)))
    return rows


def _base(table: int, sharing: Sharing, width: int, millions: int) -> Counted:
    base = PRESETS["albert-base"]
    shape = ModelConfig(
        hidden_size=base.hidden_size,
        heads=base.heads,
        depth=base.depth,
        inner_size=base.inner_size,
        embedding_size=width,
        embedding_projection=width != base.hidden_size,  # Google's rule
        sharing=sharing,
    )
    words = {"all": "all shared", "none": "not shared", "attention": "attention shared"}
    return Counted(
        table, f"{words.get(sharing, 'feed-forward shared')}, E = {width}", shape, (millions,)
    )
