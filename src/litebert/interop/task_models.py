"""Fine-tuned models to and from the Hugging Face layout, with what their task needs to answer.

Weights are named as in transformers' classes for each kind of task, which load them; the paper's
head for SQuAD 2.0 has no class there and is read by us alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from litebert.errors import InputError
from litebert.interop import huggingface
from litebert.interop import huggingface_config as configs
from litebert.interop.load import load, model_directory
from litebert.interop.tensorflow import is_checkpoint
from litebert.model.encoder import Model
from litebert.model.task_heads import TaskModel
from litebert.tasks.example import Kind
from litebert.tasks.glue import GLUE
from litebert.tasks.kinds import TaskKind, kind_of
from litebert.text.tokenizer import Tokenizer, load_tokenizer

PRETRAINING_HEADS = ("predictions.", "sop_classifier.", "cls.", "mlm_head.", "sentence_head.")
PAPER_HEAD = "answerability."
TASK_HEADS = ("classifier.", "qa_outputs.", PAPER_HEAD)

_CLASSES: dict[Kind, str] = {
    "classification": "ForSequenceClassification",
    "regression": "ForSequenceClassification",
    "multilabel": "ForSequenceClassification",
    "tagging": "ForTokenClassification",
    "span": "ForQuestionAnswering",
    "choice": "ForMultipleChoice",
}
_PROBLEMS: dict[Kind, str] = {
    "classification": "single_label_classification",
    "regression": "regression",
    "multilabel": "multi_label_classification",
}


@dataclass(frozen=True)
class FineTuned:
    """A model that answers, and all it needs to."""

    model: TaskModel
    kind: TaskKind
    tokenizer: Tokenizer
    task: str
    """Its name, "mrpc" for instance; the kind's where it came from another program."""


def save_task_model(
    model: TaskModel,
    kind: TaskKind,
    tokenizer: Tokenizer,
    directory: str | Path,
    *,
    task: str,
    card: str,
) -> None:
    """Save a fine-tuned model as transformers' class for its kind of task names the weights."""
    encoder = huggingface.named_tensors(model.encoder)
    tensors = {
        name: tensor for name, tensor in encoder.items() if not name.startswith(PRETRAINING_HEADS)
    }
    tensors |= {
        _stored_name(name, kind): tensor.detach().cpu().contiguous()
        for name, tensor in model.head.state_dict().items()
    }
    values = configs.config_json(model.encoder.config)
    family = values["model_type"]
    if family != "litebert":
        own = kind.settings().get("paper_head", False)
        values["architectures"] = [family.capitalize() + ("Model" if own else _CLASSES[kind.kind])]
    labels = list(kind.labels)
    if kind.kind == "regression":
        labels = ["LABEL_0"]
    if labels:
        values["id2label"] = {str(number): name for number, name in enumerate(labels)}
        values["label2id"] = {name: number for number, name in enumerate(labels)}
    if kind.kind in _PROBLEMS:
        values["problem_type"] = _PROBLEMS[kind.kind]
    described = {"name": task, "kind": kind.kind, "labels": list(kind.labels)} | kind.settings()
    values["litebert_task"] = described
    huggingface.write_directory(
        Path(directory), tensors=tensors, values=values, tokenizer=tokenizer, card=card
    )


def load_task_model(path: str | Path) -> FineTuned:
    """A fine-tuned model from a run, a directory or a hub id, ours or of transformers' classes.

    Raises InputError for a model without a task, and for weights that do not fit.
    """
    place = model_directory(path)
    encoder, head_tensors, values = huggingface.load_with_others(
        place, allow=(*PRETRAINING_HEADS, *_unused_pooler(place)), others=TASK_HEADS
    )
    described = values.get("litebert_task") or _described_by_transformers(values, place)
    settings = {k: v for k, v in described.items() if k not in ("name", "kind", "labels")}
    if described["name"] in GLUE:
        settings.setdefault("pairs", GLUE[described["name"]].second is not None)
    kind = kind_of(described["kind"], labels=described["labels"], settings=settings)
    head = kind.head(encoder.config, dropout=0.1)
    own = {name.removeprefix(PAPER_HEAD): tensor for name, tensor in head_tensors.items()}
    _fill(head, own, str(place))
    model = TaskModel(encoder, head).eval()
    return FineTuned(model, kind, load_tokenizer(place), described["name"])


def load_ensemble(paths: Sequence[str | Path]) -> tuple[FineTuned, list[TaskModel]]:
    """Fine-tuned models that answer together: the first with what the task needs, and all.

    Raises InputError when they do not read the same ids or know the same labels.
    """
    members = [load_task_model(path) for path in paths]
    first = members[0]
    for path, other in zip(paths, members, strict=True):
        if other.tokenizer.fingerprint != first.tokenizer.fingerprint:
            raise InputError(f"{path}: has another tokenizer than {paths[0]}: leave one out")
        if _identity_of(other.kind) != _identity_of(first.kind):
            raise InputError(f"{path}: is of another task than {paths[0]}: leave one out")
    return first, [member.model for member in members]


def _identity_of(kind: TaskKind) -> dict[str, Any]:
    """What models that answer together have in common."""
    settings = {name: value for name, value in kind.settings().items() if name != "threshold"}
    return {"kind": kind.kind, "labels": kind.labels} | settings


def is_task_model(path: str | Path) -> bool:
    """Whether a path or hub id holds a fine-tuned model; a TensorFlow checkpoint never does."""
    if is_checkpoint(Path(path)):
        return False
    place = Path(model_directory(path))
    if place.exists() and not (place / "config.json").is_file():
        return False
    values = configs.read_json(huggingface.config_of(model_directory(path)))
    return "litebert_task" in values or _class_of(values) in _CLASSES.values()


def load_encoder(path: str | Path) -> tuple[Model, str | None]:
    """An encoder to fine-tune, and what of its directory is left out, in a line, or None.

    Heads of pretraining may lack, since fine-tuning has no use for them; the head of another task
    is left out, which is how MRPC starts from a model of MNLI, and transformers' models of tokens
    have no pooler. Anything else has to fit.
    """
    if is_checkpoint(Path(path)) or not Path(path).exists() or not is_task_model(path):
        return load(path, allow=PRETRAINING_HEADS), None
    place = model_directory(path)
    pooler = _unused_pooler(place)
    model, left_out, values = huggingface.load_with_others(
        place, allow=(*PRETRAINING_HEADS, *pooler), others=TASK_HEADS
    )
    name = values.get("litebert_task", {}).get("name", "another task")
    note = f"the head of {name} is left out: {', '.join(sorted(left_out))}"
    if pooler and "litebert_task" not in values:
        note += "; a pooler that is not there begins with random weights"
    return model, note


def _stored_name(name: str, kind: TaskKind) -> str:
    return PAPER_HEAD + name if kind.settings().get("paper_head") else name


def _fill(head: torch.nn.Module, tensors: dict[str, Tensor], source: str) -> None:
    wanted = {name: tuple(tensor.shape) for name, tensor in head.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if wanted != found:
        off = [f"{name} is missing" for name in wanted if name not in found]
        off += [f"{name} is not of it" for name in found if name not in wanted]
        off += [
            f"{name} is {found[name]} but should be {shape}"
            for name, shape in wanted.items()
            if found.get(name, shape) != shape
        ]
        raise InputError(
            f"{source}: the head's weights are not those of its task: {'; '.join(off)}: save the "
            f"model again, or fine-tune it"
        )
    if bad := [name for name, tensor in tensors.items() if not bool(tensor.isfinite().all())]:
        raise InputError(f"{source}: weight {bad[0]} holds NaN or infinity: fine-tune it again")
    head.load_state_dict({name: tensor.float() for name, tensor in tensors.items()})


def _class_of(values: dict[str, Any]) -> str:
    name = (values.get("architectures") or [""])[0]
    return name.removeprefix("Albert").removeprefix("Bert")


def _unused_pooler(place: str | Path) -> tuple[str, ...]:
    """transformers' classes for tokens have no pooler."""
    config = Path(place) / "config.json"
    values = configs.read_json(config) if config.is_file() else {}
    if _class_of(values) in ("ForTokenClassification", "ForQuestionAnswering"):
        return ("albert.pooler.", "bert.pooler.")
    return ()


def _described_by_transformers(values: dict[str, Any], place: str | Path) -> dict[str, Any]:
    """Kind and labels as config.json of transformers' classes has them."""
    kinds = {name: kind for kind, name in reversed(_CLASSES.items())}
    kind = kinds.get(_class_of(values))
    if kind is None:
        raise InputError(f"{place}: is not fine-tuned for a task: litebert finetune makes one")
    names = values.get("id2label") or {"0": "LABEL_0", "1": "LABEL_1"}
    labels = [names[key] for key in sorted(names, key=int)]
    if kind == "classification":
        problems = {name: kind for kind, name in _PROBLEMS.items()}
        guessed = "regression" if len(labels) == 1 else "classification"
        kind = problems.get(values.get("problem_type") or "", guessed)
    if kind in ("regression", "span", "choice"):
        labels = []
    return {"name": kind, "kind": kind, "labels": labels}
