"""Whether torch would find a GPU, on machines that are made up."""

from __future__ import annotations

import asyncio
import ctypes
import sys
from pathlib import Path
from typing import Any

import pytest

from earmark.placement.gpu import build, count, is_there

pytestmark = pytest.mark.skipif(sys.platform == "darwin", reason="macOS has its own GPU")

CPU_BUILD = """\
from typing import Optional
__version__ = '2.13.0+cpu'
cuda: Optional[str] = None
hip: Optional[str] = None
"""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (CPU_BUILD, set()),
        (CPU_BUILD.replace("cuda: Optional[str] = None", "cuda: Optional[str] = '12.8'"), {"cuda"}),
        (CPU_BUILD.replace("hip: Optional[str] = None", "hip: Optional[str] = '6.3'"), {"hip"}),
        ("cuda = '11.8'\n", {"cuda"}),
    ],
)
def test_what_torch_was_built_for_stands_in_its_version_file(tmp_path: Path, text: str, found: set[str]) -> None:
    (tmp_path / "version.py").write_text(text)
    assert build(tmp_path) == found


def test_a_torch_that_does_not_say_counts_as_one_for_cuda(tmp_path: Path) -> None:
    assert build(tmp_path) == {"cuda"}


def absent(name: str) -> object:
    raise OSError(f"{name}: cannot open shared object file")


def test_without_a_build_for_it_or_a_driver_there_is_no_gpu() -> None:
    assert not asyncio.run(is_there(lambda: frozenset(), lambda name: object()))
    assert not asyncio.run(is_there(lambda: frozenset({"cuda"}), absent))
    assert count(absent) == 0


class Driver:
    """The driver of CUDA as ctypes loads it."""

    def __init__(self, gpus: int, begun: int = 0) -> None:
        self.gpus, self.begun = gpus, begun

    def cuInit(self, flags: int) -> int:
        return self.begun

    def cuDeviceGetCount(self, pointer: Any) -> int:
        ctypes.cast(pointer, ctypes.POINTER(ctypes.c_int))[0] = self.gpus
        return 0


def test_the_driver_is_asked_for_the_number_of_gpus() -> None:
    assert count(lambda name: Driver(2)) == 2
    assert count(lambda name: Driver(0)) == 0
    assert count(lambda name: Driver(2, begun=100)) == 0  # CUDA_ERROR_NO_DEVICE
