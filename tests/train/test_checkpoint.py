"""A checkpoint brings everything back, and damage is seen before use."""

from pathlib import Path

import pytest
import torch

from litebert import InputError, ModelConfig, build
from tiny_checkpoints import CONFIG, Trainee, at_step, same

FILES = ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"]


@pytest.mark.parametrize("kind", ["muon", "adamw", "lamb"])
def test_everything_comes_back_bit_for_bit(tmp_path, kind):
    saved, loaded = at_step(3, kind), Trainee(kind, seed=1)
    saved.save(tmp_path, 3)
    assert not same_start(saved, loaded)
    assert loaded.load(tmp_path) == ({"step": 3}, [])
    assert same(saved, loaded)
    for trainee in (saved, loaded):
        trainee.move(3)
    assert same(saved, loaded)


def same_start(a: Trainee, b: Trainee) -> bool:
    pairs = zip(a.model.parameters(), b.model.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def damage(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "deleted":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(content[:-1])
    else:
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])


@pytest.mark.parametrize("how", ["flipped", "truncated", "deleted"])
@pytest.mark.parametrize("name", FILES)
def test_damaged_newest_falls_back_with_a_warning(tmp_path, name, how):
    at_step(1).save(tmp_path, 1)
    damage(at_step(2).save(tmp_path, 2) / name, how)
    loaded = Trainee(seed=1)
    state, warnings = loaded.load(tmp_path)
    assert state == {"step": 1}
    assert same(loaded, at_step(1))
    (warning,) = warnings
    assert "step-00000002 is damaged" in warning
    assert name in warning


def test_all_damaged_names_them(tmp_path):
    for step in (1, 2):
        damage(at_step(step).save(tmp_path, step) / "state.json", "truncated")
    with pytest.raises(InputError, match=r"step-00000002 .*state.json.*step-00000001 ") as caught:
        Trainee().load(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_new_one_outlives_a_damaged_later_one(tmp_path):
    at_step(1).save(tmp_path, 1)
    damage(at_step(5).save(tmp_path, 5) / "model.safetensors", "flipped")
    at_step(2).save(tmp_path, 2, keep=1)
    assert Trainee().load(tmp_path) == ({"step": 2}, [])


def test_the_newest_are_kept(tmp_path):
    for step in (1, 2, 10, 100):
        at_step(1).save(tmp_path, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000010", "step-00000100"]


def test_checkpoint_of_another_model_is_refused(tmp_path):
    at_step(1).save(tmp_path, 1)
    other = Trainee()
    other.model = build(ModelConfig(**{**vars(CONFIG), "inner_size": 32}))
    with pytest.raises(InputError, match="another model: feed_forwards"):
        other.load(tmp_path)
