"""A tiny model with optimizers to save and load, for the tests of several folders."""

from pathlib import Path

import torch

from litebert import ModelConfig, build
from litebert.train.checkpoint import load_newest_checkpoint, take_snapshot, write_checkpoint
from litebert.train.optimizer import build_optimizers
from litebert.train.recipe import PretrainRecipe

CONFIG = ModelConfig(
    hidden_size=16, heads=2, depth=2, inner_size=24, embedding_size=8, vocab_size=30
)


class Trainee:
    """A model with its optimizers, moved by made-up gradients."""

    def __init__(self, kind: str = "muon", seed: int = 0):
        self.model = build(CONFIG, seed=seed)
        recipe = PretrainRecipe(data=Path("none"), steps=1, optimizer=kind)
        self.optimizers = build_optimizers(self.model, recipe)

    def move(self, step: int) -> None:
        generator = torch.Generator().manual_seed(step)
        for parameter in self.model.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        for optimizer in self.optimizers:
            optimizer.step()

    def save(self, directory: Path, step: int, keep: int = 2) -> Path:
        snapshot = take_snapshot(self.model, self.optimizers, {"step": step})
        return write_checkpoint(directory, snapshot, keep=keep)

    def load(self, directory: Path):
        return load_newest_checkpoint(directory, model=self.model, optimizers=self.optimizers)

    def tensors(self) -> list[torch.Tensor]:
        """Everything that a checkpoint has to bring back, in an order of its own."""
        found = [parameter.detach() for parameter in self.model.parameters()]
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                for parameter in group["params"]:
                    found += [value for _, value in sorted(optimizer.state[parameter].items())]
        return [tensor.clone() for tensor in found]


def same(a: Trainee, b: Trainee) -> bool:
    pairs = zip(a.tensors(), b.tensors(), strict=True)
    return all(x.dtype == y.dtype and torch.equal(x, y) for x, y in pairs)


def at_step(step: int, kind: str = "muon") -> Trainee:
    trainee = Trainee(kind)
    for number in range(step):
        trainee.move(number)
    return trainee
