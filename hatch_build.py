"""Puts the libraries of the native pass into wheels built on x86-64 Linux with a C++ compiler.

Elsewhere wheels hold its sources alone: an engine builds a library when it is loaded first, or
answers in PyTorch.
"""

import platform
import runpy
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = "src/litebert/infer/native"


class NativePass(BuildHookInterface):
    """Compiles every variant; the processor picks one when an engine is loaded."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable" or (platform.system(), platform.machine()) != ("Linux", "x86_64"):
            return
        native = runpy.run_path(str(Path(self.root) / NATIVE / "build.py"))
        self.place = tempfile.TemporaryDirectory()
        try:
            built = [native["build"](each, Path(self.place.name)) for each in native["VARIANTS"]]
        except (OSError, RuntimeError) as error:
            print(f"the wheel holds no built libraries: {error}", file=sys.stderr)
            return
        for path in built:
            build_data["force_include"][str(path)] = f"litebert/infer/native/{path.name}"
        build_data["pure_python"] = False
        # nothing of it depends on Python's version
        build_data["tag"] = "py3-none-linux_x86_64"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "place"):
            self.place.cleanup()
