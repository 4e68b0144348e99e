"""The studies by name."""

import difflib

from litebert.errors import InputError
from litebert.study.shape_studies import DEEP_WIDE, DEPTH, EMBEDDING, GROUPS, SHARING, WIDTH
from litebert.study.study import Study
from litebert.study.training_studies import EQUAL_TIME, OBJECTIVE, RECIPE, SIMILARITY

STUDIES: dict[str, Study] = {
    study.name: study
    for study in (
        EMBEDDING,
        SHARING,
        GROUPS,
        OBJECTIVE,
        DEPTH,
        WIDTH,
        DEEP_WIDE,
        EQUAL_TIME,
        RECIPE,
        SIMILARITY,
    )
}


def study_of(name: str) -> Study:
    """The study of a name; raises InputError with the nearest one."""
    if name in STUDIES:
        return STUDIES[name]
    close = difflib.get_close_matches(name, STUDIES, n=1)
    hint = f"did you mean {close[0]}?" if close else f"studies are {', '.join(STUDIES)}"
    raise InputError(f"no study {name!r}: {hint}")
