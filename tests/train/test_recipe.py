"""A recipe survives its file, and whatever is wrong in one is said in one line."""

import dataclasses
from pathlib import Path

import pytest

from litebert import InputError
from litebert.cli.recipe_arguments import split_overrides
from litebert.train.recipe import PretrainRecipe, RunSettings, read_recipe

# Every field away from its default; the budget is one of three.
OTHER = {
    "objective": "mlm+nsp",
    "initialization": "paper",
    "batch_tokens": 778,
    "max_length": 99,
    "short_sequence_probability": 0.25,
    "mask_rate": 0.3,
    "max_predictions_per_sequence": 20,
    "max_ngram": 2,
    "sop_negatives": "google",
    "both_orders": True,
    "order": "sequential",
    "seed": 2**62,
    "data": Path("a/train"),
    "valid": Path("a/valid"),
    "model": "albert-base",
    "depth_stages": (0.25, 0.5, 1.0),
    "accumulation": 4,
    "optimizer": "lamb",
    "lr": 1e-5,
    "muon_lr": 2e-7,
    "weight_decay": 0.0,
    "muon_weight_decay": 0.1,
    "betas": (0.9, 0.999),
    "warmup": 0.0,
    "clip": 1e30,
    "sentence_weight": 0.5,
    "precision": "bf16",
    "evaluations": 0,
    "evaluation_batches": 3,
}
BUDGETS = [{"minutes": 0.1}, {"steps": 10**9}, {"tokens": 123_456_789_012}]


def read(tmp_path, text: str, **overrides):
    (tmp_path / "recipe.yaml").write_text(text)
    return read_recipe(tmp_path / "recipe.yaml", overrides)


@pytest.mark.parametrize("budget", BUDGETS, ids=lambda budget: next(iter(budget)))
def test_yaml_gives_the_recipe_back(tmp_path, budget):
    # each odd value with the objective it is allowed with
    inside, google = {"sop_negatives": "in_document"}, {"both_orders": False}
    pairs = {"objective": "mlm+sop", "valid": "s3://bucket/valid"}
    for changes in (inside | google, pairs | google, pairs | inside):
        recipe = PretrainRecipe(**{**OTHER, **budget, **changes})
        assert read(tmp_path, recipe.to_yaml()) == recipe
    names = {field.name for field in dataclasses.fields(PretrainRecipe)}
    assert names == set(OTHER) | {"minutes", "steps", "tokens"}, "a new field: add it to OTHER"


def test_defaults_survive_too(tmp_path):
    recipe = PretrainRecipe(data=Path("x"), minutes=60.0)
    assert read(tmp_path, recipe.to_yaml()) == recipe


def test_overrides_win_and_replace_the_budget(tmp_path):
    recipe = read(tmp_path, "data: x\nminutes: 5\nlr: 0.5\nseed: 3\n", steps=7, lr=1)
    assert (recipe.minutes, recipe.steps, recipe.lr, recipe.seed) == (None, 7, 1.0, 3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("optimiser: lamb", "recipe.yaml has an unknown field 'optimiser'; .* 'optimizer'"),
        ("zzz: 1", "unknown field 'zzz'; known: objective, "),
        ("1: 2", "unknown field 1"),
        ("seed: 1.5", "seed=1.5 must be a whole number"),
        ("seed: true", "seed=True must be a whole number"),
        ("seed: '3'", "seed='3' must be a whole number"),
        ("both_orders: 1", "both_orders=1 must be true or false"),
        ("lr: fast", "lr='fast' must be a number"),
        ("lr: no", "lr=False must be a number"),
        ("lr: null", "lr=None must be a number"),
        ("model: 7", "model=7 must be text"),
        ("valid: [a]", r"valid=\['a'\] must be a path"),
        ("optimizer: sgd", "optimizer='sgd' must be one of muon, adamw, lamb"),
        ("objective: [mlm]", "objective=.* must be one of mlm, "),
        ("betas: 0.9", "betas=0.9 must be two numbers"),
        ("betas: [0.9, x]", "betas='x' must be a number"),
        ("betas: [0.9, 1.0]", r"betas=\(0.9, 1.0\) must lie in \[0, 1\)"),
        ("lr: -1", "lr=-1.0 must be above 0"),
        ("lr: .nan", "lr=nan must be above 0"),
        ("warmup: 1", r"warmup=1.0 must lie in \[0, 1\)"),
        ("accumulation: 0", "accumulation=0 must be at least 1"),
        ("evaluation_batches: 0", "evaluation_batches=0 must be at least 1"),
        ("weight_decay: -0.1", "weight_decay=-0.1 must be at least 0"),
        ("mask_rate: 0", r"mask_rate=0.0 must lie in \(0, 1\)"),
        ("batch_tokens: 64", "batch_tokens=64 must be at least max_length=128"),
        ("minutes: 3", "exactly one of minutes, steps and tokens; found minutes and steps"),
        ("- a list", "must be a mapping|is not YAML"),
        ("a: [", "recipe.yaml is not YAML"),
    ],
)
def test_one_line_says_what_is_wrong(tmp_path, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, f"data: x\nsteps: 5\n{text}\n")
    assert "\n" not in str(caught.value)


def test_missing_fields_are_named(tmp_path):
    with pytest.raises(InputError, match="needs data"):
        read(tmp_path, "steps: 5")
    with pytest.raises(InputError, match="found none of them"):
        read(tmp_path, "data: x")
    with pytest.raises(InputError, match=r"cannot read recipe .*nowhere\.yaml"):
        read_recipe(tmp_path / "nowhere.yaml", {})
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="is not YAML"):
        read_recipe(tmp_path / "binary.yaml", {})


def test_numbers_without_a_dot_are_numbers(tmp_path):
    """YAML reads 1e-3 as text."""
    recipe = read(tmp_path, "data: x\nsteps: 5\nlr: 1e-3\nclip: 2\n")
    assert (recipe.lr, recipe.clip) == (0.001, 2.0)


@pytest.mark.parametrize("field", ["workers", "keep_checkpoints"])
def test_impossible_run_settings_are_refused(field):
    with pytest.raises(InputError, match=f"{field}=-1 must be at least"):
        RunSettings(output=Path("x"), **{field: -1})


def test_fields_are_told_from_flags():
    argv = "steps=5 --output runs/a --lr 1e-3 --betas 0.8 0.9 --muon-lr=2e-2 --workers=0".split()
    overrides, rest = split_overrides([*argv, "model=a=b", "--resume"], PretrainRecipe)
    assert overrides == {
        "steps": 5, "lr": "1e-3", "betas": "0.8 0.9", "muon_lr": "2e-2", "model": "a=b",
    }  # fmt: skip
    assert rest == ["--output", "runs/a", "--workers=0", "--resume"]


def test_flag_without_its_value_is_refused():
    with pytest.raises(InputError, match="--betas needs a value"):
        split_overrides(["--betas", "0.9"], PretrainRecipe)
    with pytest.raises(InputError, match=r"lr=\[: cannot read the value"):
        split_overrides(["lr=["], PretrainRecipe)


def test_misspelt_field_reaches_the_hint():
    overrides, _ = split_overrides(["data=x", "setps=5"], PretrainRecipe)
    with pytest.raises(InputError, match="unknown field 'setps'; did you mean 'steps'"):
        read_recipe(None, overrides)


def test_depth_stages_part_the_run_equally():
    recipe = PretrainRecipe(data=Path("x"), steps=1, depth_stages=(0.1, 0.5, 1.0))
    shares = (0.0, 0.33, 0.34, 0.66, 0.67, 0.999, 1.0)
    assert [recipe.depth_at(share, full=6) for share in shares] == [1, 1, 3, 3, 6, 6, 6]
    assert PretrainRecipe(data=Path("x"), steps=1).depth_at(0.5, full=6) == 6


@pytest.mark.parametrize(
    "words", [["--depth-stages", "0.5", "1"], ["depth_stages=0.5 1"], ["depth_stages=[0.5, 1]"]]
)
def test_depth_stages_on_the_command_line(words):
    overrides, rest = split_overrides(
        ["--data", "x", *words, "--steps", "1", "--no-tensorboard"], PretrainRecipe
    )
    assert read_recipe(None, overrides).depth_stages == (0.5, 1.0)
    assert rest == ["--no-tensorboard"]
