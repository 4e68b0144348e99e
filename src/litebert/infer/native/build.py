"""Builds the native pass with the machine's C++ compiler; needs the standard library alone.

The package's own build runs it, so that a wheel holds the libraries; a checkout builds them when an
engine is loaded first. Their names tell the source they were made of: an old one is never loaded.
"""

import os
import shlex
import shutil
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path

SOURCES = Path(__file__).parent
# What each library may use of a processor; the first one is the best.
AVX2 = ("avx2", "fma", "bmi2")
AVX512 = ("avx512f", "avx512bw", "avx512dq", "avx512vl", "avx512vnni", "avx512bf16")
VARIANTS = {"avx512": (*AVX2, *AVX512), "avx2": AVX2}
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
# psabi: how vectors are passed between compilers is nothing to us; only extern "C" is seen outside
LINKING = ("-shared", "-fPIC", "-pthread", "-Wno-psabi", "-fvisibility=hidden")

# Bytes of sha256 that `build` appends to a library; loaders read what its header names alone.
DIGEST = 32


def library_name(variant: str) -> str:
    """The file of a variant made of the sources as they are."""
    digest = sha256(" ".join((*FLAGS, *LINKING, *VARIANTS[variant])).encode())
    for path in sorted(SOURCES.glob("*.h")) + sorted(SOURCES.glob("*.cpp")):
        digest.update(path.read_bytes())
    return f"pass-{variant}-{digest.hexdigest()[:12]}.so"


def build(variant: str, directory: Path, *, extra: tuple[str, ...] = ()) -> Path:
    """Compile a variant into a directory and return the library, on disk whole or not at all.

    Raises OSError without a compiler, RuntimeError with its words when it fails.
    """
    name, *own = _compiler()
    if shutil.which(name) is None:
        raise FileNotFoundError(f"no C++ compiler: {name} not found; install one, such as g++")
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / library_name(variant)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        made = Path(place) / "pass.so"
        flags = (*FLAGS, *(f"-m{flag}" for flag in VARIANTS[variant]), *extra, *LINKING)
        command = [name, *own, *flags, str(SOURCES / "interface.cpp"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr.strip()[:500]}")
        content = made.read_bytes()
        with open(made, "ab") as file:
            file.write(sha256(content).digest())
            file.flush()
            os.fsync(file.fileno())
        os.replace(made, target)
    return target


def is_whole(library: Path) -> bool:
    """Whether a file ends in the digest of the rest: a loader dies of one that was cut off."""
    content = library.read_bytes()
    return sha256(content[:-DIGEST]).digest() == content[-DIGEST:]


def _compiler() -> list[str]:
    given = os.environ.get("CXX", "")
    try:
        return shlex.split(given) or ["c++"]
    except ValueError as error:
        raise RuntimeError(f"CXX={given!r} is no command: {error}") from None
