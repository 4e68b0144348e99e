"""litebert: the complete ALBERT system."""

from litebert.config import PRESETS, ModelConfig
from litebert.errors import InputError
from litebert.infer.engine import Engine
from litebert.interop.huggingface import save
from litebert.interop.load import load
from litebert.model.encoder import Model, Output, build
from litebert.model.packed import PackedBatch, pack
from litebert.sharing import SharingPlan
from litebert.text.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "PRESETS",
    "Engine",
    "InputError",
    "Model",
    "ModelConfig",
    "Output",
    "PackedBatch",
    "SharingPlan",
    "Tokenizer",
    "build",
    "load",
    "load_tokenizer",
    "pack",
    "save",
]
