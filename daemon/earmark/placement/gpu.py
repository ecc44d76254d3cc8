"""Whether torch would find a GPU, without importing it: `python -m earmark.placement.gpu` asks the driver of CUDA.

The exit code of the command is 0 if the driver has a GPU. It is a process of its own, because a driver that was asked
maps memory for as long as the process lives, and may hang.
"""

from __future__ import annotations

import ctypes
import importlib.util
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path

from earmark.checkpoints import child

MODULE = "earmark.placement.gpu"
SECONDS = 20.0  # for the driver to answer
LIBRARIES = {"linux": "libcuda.so.1", "win32": "nvcuda.dll"}
BUILD = re.compile(r"^(cuda|hip)\b[^=\n]*= *(\S.*)$", re.MULTILINE)  # in torch/version.py
AMD = Path("/dev/kfd")  # of the driver for ROCm
Library = Callable[[str], object]


def build(folder: Path | None = None) -> frozenset[str]:
    """Return what the installed torch was built for: "cuda" or "hip", or nothing. `folder` is that of the package.

    A torch that does not say so counts as one for CUDA.
    """
    if folder is None:
        found = importlib.util.find_spec("torch")
        if found is None or not found.submodule_search_locations:
            return frozenset()
        folder = Path(found.submodule_search_locations[0])
    try:
        told = dict(BUILD.findall((folder / "version.py").read_text(encoding="utf-8")))
    except OSError:
        return frozenset({"cuda"})
    return frozenset(name for name, value in told.items() if value.strip() != "None")


def may_be_there(build: Callable[[], frozenset[str]] = build, library: Library = ctypes.CDLL) -> bool:
    """Return whether torch was built for a GPU of which there is a driver."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"  # of which torch uses the GPU (MPS)
    made_for = build()
    if "hip" in made_for:
        return AMD.exists()
    return "cuda" in made_for and _has_driver(library)


async def is_there(build: Callable[[], frozenset[str]] = build, library: Library = ctypes.CDLL) -> bool:
    """Return whether torch would find a GPU on this machine. Cancelled, it ends the process that asks the driver."""
    if not may_be_there(build, library):
        return False
    return sys.platform == "darwin" or AMD.exists() or await child.succeeds(MODULE, seconds=SECONDS)


def _has_driver(library: Library) -> bool:
    try:
        library(LIBRARIES.get(sys.platform, ""))
    except OSError:
        return False
    return True


def count(library: Library = ctypes.CDLL) -> int:
    """Return the number of GPUs that the driver of CUDA has for this process."""
    try:
        driver: ctypes.CDLL = library(LIBRARIES[sys.platform])  # type: ignore[assignment]  # tests pass another one
    except (OSError, KeyError):
        return 0
    found = ctypes.c_int()
    if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(found)):
        return 0
    return found.value


if __name__ == "__main__":
    sys.exit(0 if count() else 1)
