"""Fields of a recipe on a command line: field=value, --field value, --field=value."""

import dataclasses
import itertools
import re
import typing
from typing import Any

import yaml

from litebert.errors import InputError


def split_overrides(argv: list[str], recipe: type) -> tuple[dict[str, Any], list[str]]:
    """Fields of a recipe (a dataclass), and the arguments that are left.

    A field of several numbers takes as many words after its flag as it has places, or all that
    are numbers. Raises InputError for a flag without its value.
    """
    names = {field.name for field in dataclasses.fields(recipe)}
    hints = typing.get_type_hints(recipe)
    overrides: dict[str, Any] = {}
    rest: list[str] = []
    left = list(argv)
    while left:
        word = left.pop(0)
        pair = re.fullmatch(r"(--)?([A-Za-z_-]+)=(.*)", word, re.DOTALL)
        name = (pair[2] if pair else word.removeprefix("--")).replace("-", "_")
        if pair and (name in names or not pair[1]):
            overrides[name] = _scalar(pair[3], word)
        elif word.startswith("--") and name in names:
            count = _words_of(hints[name], left)
            if len(left) < count:
                raise InputError(f"{word} needs a value")
            overrides[name] = _scalar(" ".join(left[:count]), word)
            del left[:count]
        else:
            rest.append(word)
    return overrides, rest


def _words_of(hint: Any, following: list[str]) -> int:
    if typing.get_origin(hint) is not tuple:
        return 1
    kinds = typing.get_args(hint)
    if Ellipsis not in kinds:
        return len(kinds)
    numbers = itertools.takewhile(re.compile(r"[0-9.]+").fullmatch, following)
    return max(1, len(list(numbers)))


def _scalar(text: str, where: str) -> Any:
    try:
        return yaml.safe_load(text)
    except yaml.YAMLError:
        raise InputError(f"{where}: cannot read the value {text!r}") from None
