"""Data sets of the Hugging Face hub as rows of a user's own task: hf:NAME or hf:NAME:CONFIG.

Read by the `datasets` library; numbers of classes become their names.
"""

from typing import Any

from litebert.errors import InputError
from litebert.tasks.table_files import Row

PREFIX = "hf:"
_SPLITS = {
    "train": ("train",),
    "dev": ("validation", "dev", "valid", "validation_matched"),
    "test": ("test",),
}


def is_hub_name(source: str) -> bool:
    """Whether data is named as one of the hub's sets."""
    return source.startswith(PREFIX)


def read_hub_rows(source: str) -> dict[str, list[Row]]:
    """Rows by split (train, dev, test) of a data set of the hub, or of a local path of one.

    Raises InputError without the `datasets` library, and when it cannot get the set.
    """
    try:
        import datasets
    except ImportError:
        raise InputError(f"{source}: sets of the hub need: pip install 'litebert[data]'") from None
    name, _, config = source.removeprefix(PREFIX).partition(":")
    try:
        found = datasets.load_dataset(name, config or None)
    except Exception as error:  # its own, the hub's, the network's: all mean that there is no data
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{source}: the datasets library cannot get it: {reason}") from None
    rows = {}
    for split, names in _SPLITS.items():
        chosen = next((found[one] for one in names if one in found), None)
        if chosen is not None:
            classes = {
                column: inner.names
                for column, feature in chosen.features.items()
                # tags are a list of classes
                if isinstance(inner := getattr(feature, "feature", feature), datasets.ClassLabel)
            }
            rows[split] = [
                (f"{source}:{split}:{number}", _named(dict(values), classes))
                for number, values in enumerate(chosen, 1)
            ]
    if "train" not in rows:
        raise InputError(f"{source}: has no train split, only {', '.join(map(str, found))}")
    return rows


def _named(values: dict[str, Any], classes: dict[str, list[str]]) -> dict[str, Any]:
    """Classes by name; -1, which stands where a label is kept secret, becomes none."""

    def name(column: str, value: Any) -> Any:
        if isinstance(value, list):
            return [name(column, one) for one in value]
        return None if value is None or value < 0 else classes[column][value]

    return {
        column: name(column, value) if column in classes else value
        for column, value in values.items()
    }
