"""The model card of a fine-tuned model: its task, its scores, how it was made, how to ask it."""

from typing import Any

from litebert.tasks.kinds import TaskKind
from litebert.train.finetune_recipe import FinetuneRecipe

_PIPELINES = {
    "classification": "text-classification",
    "regression": "text-classification",
    "multilabel": "text-classification",
    "tagging": "token-classification",
    "span": "question-answering",
    "choice": "multiple-choice",
}


def task_card(
    task: str, kind: TaskKind, source: str, recipe: FinetuneRecipe, result: dict[str, Any]
) -> str:
    """README.md of a model directory, in the hub's format."""
    rows = [
        f"| {split} | {metric} | {value:.2f} |"
        for split, scores in result["scores"].items()
        for metric, value in scores.items()
    ]
    chosen = (
        "the development rows themselves" if recipe.select == "dev" else "training rows set apart"
    )
    length = (recipe.steps and f"{recipe.steps} steps") or f"{recipe.epochs:g} epochs"
    return "\n".join(
        [
            "---",
            "library_name: transformers",
            f"pipeline_tag: {_PIPELINES[kind.kind]}",
            "tags: [litebert]",
            "---",
            "",
            f"# {task}",
            "",
            f"Fine-tuned from `{source}`: {length} of {recipe.batch_size} examples, peak learning "
            f"rate {recipe.lr:g}, seed {result['seed']}. Step {result['best_step']} of "
            f"{result['steps']} was chosen on {chosen}.",
            "",
            "| rows | metric | value |",
            "|---|---|---|",
            *rows,
            "",
            "Ask it with `litebert predict DIRECTORY FILE`.",
            "",
        ]
    )
