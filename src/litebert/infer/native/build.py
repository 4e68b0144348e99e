"""Builds the native pass with the machine's C++ compiler; needs the standard library alone.

The package's own build runs it, so that a wheel holds the libraries; a checkout builds them when an
engine is loaded first. Their names tell the source they were made of: an old one is never loaded.
"""

import hashlib
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SOURCES = Path(__file__).parent
# What each library may use of a processor; the first one is the best.
VARIANTS = {
    "avx512": ("-march=x86-64-v4", "-mavx512vnni", "-mavx512bf16"),
    "avx2": ("-march=x86-64-v3",),
}
FLAGS = ("-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math")
LINKING = ("-shared", "-fPIC", "-pthread", "-Wno-psabi", "-static-libstdc++", "-static-libgcc")


def library_name(variant: str) -> str:
    """The file of a variant made of the sources as they are."""
    digest = hashlib.sha256(" ".join((*FLAGS, *LINKING, *VARIANTS[variant])).encode())
    for path in sorted(SOURCES.glob("*.h")) + sorted(SOURCES.glob("*.cpp")):
        digest.update(path.read_bytes())
    return f"pass-{variant}-{digest.hexdigest()[:12]}.so"


def build(variant: str, directory: Path, *, extra: tuple[str, ...] = ()) -> Path:
    """Compile a variant into a directory and return the library.

    Raises OSError without a compiler, RuntimeError with its words when it fails.
    """
    name = os.environ.get("CXX", "c++")
    compiler = shutil.which(name)
    if compiler is None:
        raise FileNotFoundError(f"no C++ compiler: {name} not found; install one, such as g++")
    directory.mkdir(parents=True, exist_ok=True)
    target = directory / library_name(variant)
    with tempfile.TemporaryDirectory(dir=directory) as place:
        made = Path(place) / "pass.so"
        options = (*FLAGS, *VARIANTS[variant], *extra, *LINKING)
        command = [compiler, *options, str(SOURCES / "interface.cpp"), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"{name} failed: {done.stderr.strip()[:500]}")
        os.replace(made, target)
    return target
