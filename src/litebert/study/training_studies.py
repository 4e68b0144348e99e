"""Studies that vary how a model learns: sentence objective, equal time, recipe, similarity.

Lan et al. 2020 (arXiv 1909.11942), Tables 5 to 8 and Figure 1.
"""

from dataclasses import replace

from litebert.study import paper_results
from litebert.study.claims import Claim, Contrast
from litebert.study.scale import Scale
from litebert.study.shape_studies import LITTLE, better
from litebert.study.study import Study, Variant

# Per cent of pairs that count as solved, and as chance.
SOLVED, CHANCE = 60.0, 55.0


def _objective(scale: Scale) -> list[Variant]:
    # sentence order is found sooner where every pair comes in both orders (LOG.md)
    return [
        Variant(name="none", shape=scale.shape, recipe={"objective": "mlm"}),
        Variant(name="NSP", shape=scale.shape, recipe={"objective": "mlm+nsp"}),
        Variant(
            name="SOP", shape=scale.shape, recipe={"objective": "mlm+sop", "both_orders": True}
        ),
    ]


def _objective_claims(scale: Scale) -> tuple[Claim, ...]:
    return (
        Claim(
            "SOP solves NSP",
            f"A model trained on sentence order tells next sentences from others "
            f"({SOLVED:.0f} % and more).",
            (Contrast("nsp_accuracy", {"SOP": 1.0}, at_least=SOLVED),),
        ),
        Claim(
            "SOP is learned",
            f"A model trained on sentence order tells it ({SOLVED:.0f} % and more).",
            (Contrast("sop_accuracy", {"SOP": 1.0}, at_least=SOLVED),),
        ),
        Claim(
            "NSP does not solve SOP",
            f"A model trained on next sentences does not tell their order (below {CHANCE:.0f} %).",
            (Contrast("sop_accuracy", {"NSP": -1.0}, at_least=-CHANCE),),
        ),
        Claim(
            "SOP helps downstream",
            "Fine-tuned tasks are better after sentence order than after no sentence objective.",
            (Contrast("downstream", {"SOP": 1.0, "none": -1.0}),),
        ),
    )


OBJECTIVE = Study(
    name="objective",
    title="Sentence objectives",
    question="What do next sentence and sentence order teach?",
    source="Table 5",
    note="A model without a sentence objective is asked by a probe on [CLS] of the frozen encoder. "
    "With SOP every pair comes in both orders, half as many texts a batch: short runs find it so.",
    printed=(paper_results.OBJECTIVE,),
    variants=_objective,
    claims=_objective_claims,
)


def _equal_time(scale: Scale) -> list[Variant]:
    shape = scale.shape
    wide = replace(
        shape,
        hidden_size=2 * shape.hidden_size,
        heads=2 * shape.heads,
        inner_size=2 * shape.inner_size,
        depth=max(1, shape.depth // 2),
    )
    deep = replace(shape, sharing="none", embedding_projection=True, depth=2 * shape.depth)
    return [Variant(name="deep, unshared", shape=deep), Variant(name="wide, shared", shape=wide)]


EQUAL_TIME = Study(
    name="equal-time",
    title="Wide and shared against deep and unshared",
    question="Which is better after the same time?",
    source="Table 6",
    printed=(paper_results.EQUAL_TIME,),
    variants=_equal_time,
    equal="minutes",
    claims=lambda scale: (
        Claim(
            "wide shared beats deep unshared",
            "After the same time a wide shared model is better than a deep unshared one.",
            (better("mlm_loss", "wide, shared", "deep, unshared"),),
        ),
    ),
)


def _recipe(scale: Scale) -> list[Variant]:
    shape = scale.shape
    dropped = replace(shape, hidden_dropout=0.1, attention_dropout=0.1)
    rates = {"15 %": 0.15, "20 of 512": 20 / 512, "30 %": 0.3, "45 %": 0.45}
    return [
        Variant(name="no dropout", shape=shape),
        Variant(name="dropout 0.1", shape=dropped),
        Variant(name="an eighth of the text", shape=shape, every=8),
        *(
            Variant(
                name=f"masks {label}",
                shape=shape,
                recipe={"mask_rate": rate, "max_predictions_per_sequence": None},
            )
            for label, rate in rates.items()
        ),
    ]


RECIPE = Study(
    name="recipe",
    title="Dropout, more text, and how much is masked",
    question="What does dropout cost, what does more text bring, and how many tokens to predict?",
    source="Tables 7 and 8, without a table for the budget of masks",
    printed=(paper_results.MORE_DATA, paper_results.DROPOUT),
    variants=_recipe,
    claims=lambda scale: (
        Claim(
            "dropout hurts",
            "Without dropout the held-out loss is lower.",
            (better("mlm_loss", "no dropout", "dropout 0.1"),),
        ),
        Claim(
            "more text helps",
            "At equal tokens the whole text is better than an eighth of it, seen more often.",
            (better("mlm_loss", "no dropout", "an eighth of the text"),),
        ),
        Claim(
            "20 of 512 is too few",
            "20 predictions in 512 tokens are worse than 15 %.",
            (better("mlm_loss", "masks 15 %", "masks 20 of 512"),),
        ),
        Claim(
            "more masks pay in a short run",
            "30 % of masks are no worse than 15 %.",
            (better("mlm_loss", "masks 30 %", "masks 15 %", by=-LITTLE),),
        ),
    ),
)


def _similarity(scale: Scale) -> list[Variant]:
    return [
        Variant(name="all shared", shape=scale.shape),
        Variant(name="nothing shared", shape=replace(scale.shape, sharing="none")),
    ]


SIMILARITY = Study(
    name="similarity",
    title="From layer to layer",
    question="How far does a layer move its input, when all layers are one?",
    source="Figure 1",
    variants=_similarity,
    claims=lambda scale: (
        Claim(
            "shared layers move their input more smoothly",
            "Over the layers the distance from input to output varies less in a shared model.",
            (Contrast("distance_spread", {"nothing shared": 1.0, "all shared": -1.0}),),
        ),
        Claim(
            "no fixed point",
            "The last application of a shared block still moves its input: more than a tenth of "
            "its length.",
            (Contrast("last_distance", {"all shared": 1.0}, at_least=0.1),),
        ),
    ),
)
