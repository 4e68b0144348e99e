"""Recipes as YAML files: typed fields in, one mapping out; wrong ones named with the nearest right.

Values are not guessed from other types: a recipe means the same to everyone who reads it.
"""

import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, Literal

import yaml

from litebert.errors import InputError
from litebert.remote import is_remote


def yaml_of(recipe: Any) -> str:
    """A recipe (a dataclass) as YAML that reads back; fields left at nothing are left out."""
    values = {}
    for name, value in dataclasses.asdict(recipe).items():
        if value is not None and value != ():
            value = str(value) if isinstance(value, Path) else value
            values[name] = list(value) if isinstance(value, tuple) else value
    return yaml.safe_dump(values, sort_keys=False)


def differences(one: str, other: str) -> str:
    """Where two recipes written by `yaml_of` differ, in words for a message."""
    before, now = (yaml.safe_load(text) for text in (one, other))
    return ", ".join(
        f"{name} was {before.get(name, 'not set')}, is {now.get(name, 'not set')}"
        for name in {**before, **now}
        if before.get(name) != now.get(name)
    )


def read_mapping(path: Path | None) -> dict[str, Any]:
    """The mapping of a YAML file, empty without a path. Raises InputError for anything else."""
    if path is None:
        return {}
    try:
        values = yaml.safe_load(path.read_text("utf-8")) or {}
    except OSError as error:
        raise InputError(f"cannot read recipe {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        where = " ".join(str(error).split())
        raise InputError(f"recipe {path} is not YAML: {where}") from None
    if not isinstance(values, dict):
        raise InputError(f"recipe {path} must be a mapping of fields to values")
    return values


def typed_fields(recipe: type, values: dict[str, Any], source: str) -> dict[str, Any]:
    """Values as the types of a recipe's fields; `source` is for messages.

    Raises InputError for unknown fields, with the nearest known name, and for wrong types.
    """
    hints = typing.get_type_hints(recipe)
    typed = {}
    for name, value in values.items():
        if name not in hints:
            near = difflib.get_close_matches(str(name), hints, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(hints)}"
            raise InputError(f"{source} has an unknown field {name!r}{hint}")
        typed[name] = _typed(value, hints[name], f"{source}: {name}")
    return typed


def check_at_least(recipe: Any, least: float, *names: str) -> None:
    """Raise InputError for the first of some fields that is below a number, or NaN."""
    for name in names:
        if not getattr(recipe, name) >= least:
            raise InputError(f"{name}={getattr(recipe, name)} must be at least {least}")


def check_positive(recipe: Any, *names: str) -> None:
    """Raise InputError for the first of some fields that is not above 0."""
    for name in names:
        if not getattr(recipe, name) > 0:
            raise InputError(f"{name}={getattr(recipe, name)} must be above 0")


def check_shares(recipe: Any, *names: str) -> None:
    """Raise InputError for the first of some fields, numbers or pairs, that is not in [0, 1)."""
    for name in names:
        value = getattr(recipe, name)
        if not all(0 <= part < 1 for part in (value if isinstance(value, tuple) else (value,))):
            raise InputError(f"{name}={value} must lie in [0, 1)")


def _typed(value: Any, hint: Any, where: str) -> Any:
    """A YAML value as the type of its field; numbers are not guessed from other types."""
    if isinstance(hint, types.UnionType):
        if value is None:
            return None
        options = [option for option in typing.get_args(hint) if option is not types.NoneType]
        if isinstance(value, str) and str in options and is_remote(value):
            return value
        hint = options[-1]
    if typing.get_origin(hint) is Literal:
        options = typing.get_args(hint)
        if value not in options:
            raise InputError(f"{where}={value!r} must be one of {', '.join(map(str, options))}")
        return value
    if typing.get_origin(hint) is tuple:
        kinds = typing.get_args(hint)
        parts = yaml.safe_load(f"[{', '.join(value.split())}]") if isinstance(value, str) else value
        if Ellipsis in kinds:
            parts = [parts] if isinstance(parts, int) else parts
            kinds = kinds[:1] * len(parts) if isinstance(parts, (list, tuple)) else kinds
        if not isinstance(parts, (list, tuple)) or len(parts) != len(kinds):
            count = "" if Ellipsis in typing.get_args(hint) else "two "
            raise InputError(f"{where}={value!r} must be {count}numbers")
        return tuple(_typed(part, kind, where) for part, kind in zip(parts, kinds, strict=True))
    if hint is bool and not isinstance(value, bool):
        raise InputError(f"{where}={value!r} must be true or false")
    if hint is float and isinstance(value, (int, str)) and not isinstance(value, bool):
        try:  # YAML reads 1e-3, without a dot, as text
            return float(value)
        except ValueError:
            pass
    if hint is Path and isinstance(value, (str, Path)):
        return Path(value)
    if not isinstance(value, hint) or (hint is int and isinstance(value, bool)):
        kind = {int: "a whole number", float: "a number", str: "text", Path: "a path"}[hint]
        raise InputError(f"{where}={value!r} must be {kind}")
    return value
