"""Studies that vary the shape: embedding size, sharing, groups, depth, width.

Lan et al. 2020 (arXiv 1909.11942), Tables 3, 4, 11, 12 and 13, and the groups that section 3.1
describes and no table shows. Claims are about held-out masked-LM loss, nats, lower is better.
"""

from dataclasses import replace

from litebert.config import ModelConfig
from litebert.sharing import Sharing
from litebert.study import paper_results
from litebert.study.claims import Claim, Contrast
from litebert.study.scale import Scale
from litebert.study.study import Study, Variant

# Nats that claims call little.
LITTLE = 0.02

WORDS: dict[Sharing, str] = {
    "all": "all shared",
    "attention": "attention shared",
    "feed_forward": "feed-forward shared",
    "none": "nothing shared",
}


def with_embedding(shape: ModelConfig, size: int) -> ModelConfig:
    """The shape with E = size; without a projection where E = H, as in Google's code."""
    return replace(shape, embedding_size=size, embedding_projection=size != shape.hidden_size)


def better(metric: str, one: str, other: str, *, by: float = 0.0) -> Contrast:
    """That `one` has a lower loss than `other`, by more than so much; below 0: not much higher."""
    return Contrast(metric, {other: 1.0, one: -1.0}, at_least=by)


def _sharing(scale: Scale) -> list[Variant]:
    sizes = {"small E": scale.shape.embedding_size, "E = H": scale.shape.hidden_size}
    return [
        Variant(
            name=f"{words}, {label}",
            shape=replace(with_embedding(scale.shape, size), sharing=sharing),
        )
        for label, size in sizes.items()
        for sharing, words in WORDS.items()
    ]


def _sharing_claims(scale: Scale) -> tuple[Claim, ...]:
    return tuple(claim for label in ("small E", "E = H") for claim in _sharing_claims_at(label))


def _sharing_claims_at(label: str) -> tuple[Claim, ...]:
    def against(one: str, other: str, *, by: float = 0.0) -> tuple[Contrast, ...]:
        return (better("mlm_loss", f"{one}, {label}", f"{other}, {label}", by=by),)

    return (
        Claim(
            f"attention is cheap to share, {label}",
            f"Sharing attention costs little ({label}).",
            against("attention shared", "nothing shared", by=-2 * LITTLE),
        ),
        Claim(
            f"feed-forward is dear to share, {label}",
            f"Sharing the feed-forward costs more than sharing attention ({label}).",
            against("attention shared", "feed-forward shared"),
        ),
        Claim(
            f"sharing costs, {label}",
            f"At equal tokens a model that shares all its layers is behind one that shares none "
            f"({label}).",
            against("nothing shared", "all shared"),
        ),
    )


SHARING = Study(
    name="sharing",
    title="What sharing costs",
    question="Which of a block's weights can all layers share, and what does it cost?",
    source="Table 4",
    printed=(paper_results.SHARING,),
    variants=_sharing,
    quick=tuple(f"{words}, small E" for words in WORDS.values()),
    claims=_sharing_claims,
)


def _embedding(scale: Scale) -> list[Variant]:
    return [
        Variant(
            name=f"{WORDS[sharing]}, {_size(scale, size)}",
            shape=replace(with_embedding(scale.shape, size), sharing=sharing),
        )
        for sharing in ("none", "all")
        for size in scale.embedding_sizes
    ]


def _size(scale: Scale, size: int) -> str:
    """E by its place, so that claims hold for every scale."""
    names = ("smallest E", "small E", "large E", "E = H")
    return names[scale.embedding_sizes.index(size)]


def _embedding_claims(scale: Scale) -> tuple[Claim, ...]:
    return (
        Claim(
            "a small E is enough when all is shared",
            "With everything shared, embeddings as wide as the hidden states gain little over a "
            "sixth to a quarter of it.",
            (better("mlm_loss", "all shared, small E", "all shared, E = H", by=-LITTLE),),
        ),
        Claim(
            "unshared models use a wide E",
            "With nothing shared, embeddings as wide as the hidden states are better.",
            (better("mlm_loss", "nothing shared, E = H", "nothing shared, small E"),),
        ),
        Claim(
            "E can be too small",
            "The smallest E is worse than the small one.",
            (better("mlm_loss", "all shared, small E", "all shared, smallest E"),),
        ),
    )


EMBEDDING = Study(
    name="embedding",
    title="How wide embeddings must be",
    question="Is a small E enough?",
    source="Table 3",
    along=("embedding size E", lambda shape: shape.embedding_size),
    printed=(paper_results.EMBEDDING,),
    variants=_embedding,
    claims=_embedding_claims,
)


def _groups(scale: Scale) -> list[Variant]:
    depth = scale.shape.depth
    counts = [groups for groups in range(1, depth + 1) if depth % groups == 0]
    return [
        Variant(
            name=f"groups of {depth // groups}",
            shape=replace(scale.shape, sharing="groups", groups=groups),
        )
        for groups in counts
    ]


def _group_claims(depth: int) -> tuple[Claim, ...]:
    return (
        Claim(
            "smaller groups are better",
            "Layers in smaller groups, with more weights, are better than all in one group.",
            (
                better("mlm_loss", "groups of 1", f"groups of {depth}"),
                better("mlm_loss", f"groups of {depth // 2}", f"groups of {depth}"),
            ),
        ),
    )


GROUPS = Study(
    name="groups",
    title="Sharing inside groups",
    question="What does it buy to share inside groups of layers only?",
    source="section 3.1, without a table",
    along=("groups", lambda shape: shape.groups),
    variants=_groups,
    claims=lambda scale: _group_claims(scale.shape.depth),
)


def _depth(scale: Scale) -> list[Variant]:
    variants: list[Variant] = []
    for depth in scale.depths:
        before = variants[-1].name if variants else None
        variants.append(
            Variant(
                name=_layers(depth),
                shape=replace(scale.shape, depth=depth),
                starts_from=before,
            )
        )
    return variants


def _layers(depth: int) -> str:
    return f"{depth} layer{'s' * (depth > 1)}"


def _depth_claims(scale: Scale) -> tuple[Claim, ...]:
    names = [_layers(depth) for depth in scale.depths]
    return (
        Claim(
            "depth helps",
            f"{names[2]} are better than one.",
            (better("mlm_loss", names[2], names[0]),),
        ),
        Claim(
            "depth saturates",
            "The last step in depth gains less than the first.",
            (
                Contrast(
                    "mlm_loss",
                    {names[0]: 1.0, names[1]: -1.0, names[-2]: -1.0, names[-1]: 1.0},
                ),
            ),
        ),
    )


DEPTH = Study(
    name="depth",
    title="Depth",
    question="How often is one block worth applying?",
    source="Table 11",
    note="Each depth goes on from the weights of the one before, as in the paper: a deeper model "
    "has seen more text as well, and its figures count all of it. The rate is that of one layer.",
    along=("layers", lambda shape: shape.depth),
    printed=(paper_results.DEPTH,),
    variants=_depth,
    claims=_depth_claims,
)


def _width(scale: Scale) -> list[Variant]:
    return [
        Variant(name=f"H = {hidden}", shape=_wide(scale.shape, hidden, depth=3))
        for hidden in scale.widths
    ]


def _wide(shape: ModelConfig, hidden: int, *, depth: int) -> ModelConfig:
    return replace(
        shape,
        hidden_size=hidden,
        heads=max(1, hidden // 64),
        inner_size=4 * hidden,
        depth=depth,
        embedding_projection=shape.embedding_size != hidden,
    )


def _width_claims(scale: Scale) -> tuple[Claim, ...]:
    names = [f"H = {hidden}" for hidden in scale.widths]
    return (
        Claim(
            "width helps",
            f"{names[2]} is better than {names[0]}.",
            (better("mlm_loss", names[2], names[0]),),
        ),
        Claim(
            "width helps and then hurts",
            f"{names[2]} is better than {names[0]}, and better than {names[3]}.",
            (
                better("mlm_loss", names[2], names[0]),
                better("mlm_loss", names[2], names[3]),
            ),
        ),
    )


WIDTH = Study(
    name="width",
    title="Width",
    question="How wide should three layers be?",
    source="Table 12",
    along=("hidden size H", lambda shape: shape.hidden_size),
    printed=(paper_results.WIDTH,),
    variants=_width,
    claims=_width_claims,
)


def _deep_wide(scale: Scale) -> list[Variant]:
    return [
        Variant(name=_layers(depth), shape=_wide(scale.shape, scale.widths[-2], depth=depth))
        for depth in (3, 6)
    ]


DEEP_WIDE = Study(
    name="deep-wide",
    title="Depth of wide models",
    question="Does a wide model need more depth?",
    source="Table 13",
    printed=(paper_results.DEEP_WIDE,),
    variants=_deep_wide,
    claims=lambda scale: (
        Claim(
            "wide models need no more depth",
            "At a large width twice the depth gains little.",
            (better("mlm_loss", "3 layers", "6 layers", by=-LITTLE),),
        ),
    ),
)
