"""The MODEL that verbs take: a run, a Hugging Face directory or hub id, a TensorFlow checkpoint."""

from collections.abc import Sequence

from litebert.hardware import choose_device
from litebert.infer.prepare import Precision, prepare
from litebert.interop.load import load, tokenizer_of
from litebert.interop.task_models import FineTuned, load_ensemble
from litebert.model.encoder import Model
from litebert.model.task_heads import TaskModel
from litebert.text.tokenizer import Tokenizer


def open_model(name: str, *, allow: Sequence[str] = ()) -> tuple[Model, Tokenizer]:
    """A model and the tokenizer beside it; raises InputError when either cannot be had."""
    return load(name, allow=allow), tokenizer_of(name)


def open_fine_tuned(
    names: Sequence[str], *, device: str, precision: Precision
) -> tuple[FineTuned, list[TaskModel]]:
    """Fine-tuned models that answer together, on their device and in their arithmetic."""
    tuned, models = load_ensemble(names)
    chosen = choose_device(device)
    for name, model in zip(names, models, strict=True):
        model.to(chosen).eval()
        model.encoder = prepare(model.encoder, precision, source=name)
    return tuned, models
