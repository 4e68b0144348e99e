"""English prose that every Python installation carries: the docstrings of its libraries.

Real text of one domain, megabytes of it, with no download: what `litebert quickstart` trains on.
A module is a document, a paragraph of a docstring is a line; code, tables and signatures are left
out.
"""

import inspect
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

# Files above this size are generated tables more often than libraries.
LARGEST_SOURCE = 600_000
# Long strings are docstrings nearly always; parsing every file finds the same prose in six times
# the time.
_LONG_STRING = re.compile(r"(\"\"\"|''')(.*?)\1", re.DOTALL)
_SENTENCE = re.compile(r"[A-Z(\"'`].*[a-z].*[.!?:)\"'`]$", re.DOTALL)
# Doctests, section rules, tables, parameter lists and field markers are not prose.
_NOT_PROSE = re.compile(r"^\s*(>>>|\.\.\s|\||[-=~*^+]{3,}|[:@]\w+|#|\$)", re.MULTILINE)
_MARKUP = re.compile(r":[a-z:]+:`~?\.?([^`<]*)[^`]*`|`{1,2}([^`]*)`{1,2}|\*\*([^*]*)\*\*")


def installed_sources() -> list[Path]:
    """Python files of the standard library and of installed packages, in a fixed order."""
    roots = [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    files = {
        path.resolve()
        for root in dict.fromkeys(roots)
        for path in root.rglob("*.py")
        if not {"test", "tests", "testing", "idlelib", "lib2to3"} & set(path.parts)
    }
    return sorted(files, key=lambda path: path.as_posix())


def documents() -> Iterator[list[str]]:
    """The prose of every installed module: lists of paragraphs, no paragraph twice."""
    seen: set[str] = set()
    for path in installed_sources():
        fresh = [text for text in module_prose(path) if not (text in seen or seen.add(text))]
        if len(fresh) > 1:
            yield fresh


def module_prose(path: Path) -> list[str]:
    """Paragraphs of prose in the docstrings of one source file; none when it is not UTF-8."""
    try:
        if path.stat().st_size > LARGEST_SOURCE:
            return []
        source = path.read_text("utf-8")
    except (UnicodeDecodeError, OSError):
        return []
    return [p for match in _LONG_STRING.finditer(source) for p in paragraphs_of(match[2])]


def paragraphs_of(docstring: str) -> Iterator[str]:
    """The paragraphs of a docstring that read as sentences, on one line each, without markup."""
    for block in re.split(r"\n\s*\n", inspect.cleandoc(docstring)):
        if _NOT_PROSE.search(block) or len(block) < 40:
            continue
        if any(line.startswith("    ") for line in block.splitlines()[:1]):
            continue
        text = " ".join(_MARKUP.sub(lambda m: m[1] or m[2] or m[3] or "", block).split())
        letters = sum(c.isalpha() or c == " " for c in text)
        words = text.split(" ")
        if len(words) >= 6 and letters >= 0.85 * len(text) and _SENTENCE.match(text):
            yield text
