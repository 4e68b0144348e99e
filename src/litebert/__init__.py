"""litebert: the complete ALBERT system."""

from litebert.config import PRESETS, ModelConfig
from litebert.errors import InputError
from litebert.model.encoder import Model, Output, build
from litebert.model.packed import PackedBatch, pack
from litebert.sharing import SharingPlan

__all__ = [
    "PRESETS",
    "InputError",
    "Model",
    "ModelConfig",
    "Output",
    "PackedBatch",
    "SharingPlan",
    "build",
    "pack",
]
