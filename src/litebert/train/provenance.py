"""Where results come from: the commit or version of the code, the libraries, the machine."""

import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

# Whose version can change a number.
LIBRARIES = ("torch", "numpy", "tokenizers", "safetensors")


def provenance(device: torch.device) -> dict[str, Any]:
    """What made a number, beside the recipe: `hardware`, `commit` and `versions`."""
    libraries = {name: version(name) for name in LIBRARIES}
    return {
        "hardware": _hardware(device),
        "commit": code_version(),
        "versions": {"python": platform.python_version()} | libraries,
    }


def code_version() -> str:
    """The git commit of litebert when it runs from a checkout, else the installed version.

    A commit whose tracked files were changed since ends in "+changes".
    """
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / ".git").exists():
        return f"litebert {version('litebert')}"
    try:
        commit = _git(checkout, "rev-parse", "--short=12", "HEAD").strip()
        changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):  # no git here, or not the owner of the checkout
        return f"litebert {version('litebert')}"
    return commit + ("+changes" if changed else "")


def _hardware(device: torch.device) -> str:
    """The processor's or GPU's name."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _git(checkout: Path, *arguments: str) -> str:
    command = ["git", "-C", str(checkout), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout
