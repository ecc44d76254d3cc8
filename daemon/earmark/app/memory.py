"""The memory of processes: how much is resident, and how the C library gives it back.

glibc raises by itself the size from which an allocation has pages of its own that are returned when it is freed. After
the first large clip, clips of all sizes therefore lie in the heaps of as many arenas as there are threads, and small
objects between them keep their pages: the resident memory of a daemon that is posted clips wanders, with no bound near.
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Mapping
from typing import Any

from earmark.placement.resident import resident
from earmark.telemetry.snapshot import MemoryInfo

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of <malloc.h>
ALLOCATION = {  # the environment's name for each setting that a user may have made, and ours
    "MALLOC_MMAP_THRESHOLD_": (M_MMAP_THRESHOLD, 256 * 1024),  # bytes: blocks of a clip are larger, windows smaller
    "MALLOC_TRIM_THRESHOLD_": (M_TRIM_THRESHOLD, 1024 * 1024),  # bytes at the end of the heap
    "MALLOC_ARENA_MAX": (M_ARENA_MAX, 2),
}
MB = 1e6


def return_freed(environment: Mapping[str, str] = os.environ, library: Any = None) -> None:
    """Have the C library return freed memory to the system. Called before there are threads.

    What the environment sets stays. Does nothing without glibc, of which `library` is a stand-in for tests.
    """
    library = library or (ctypes.CDLL(None) if sys.platform == "linux" else None)
    if not hasattr(library, "mallopt"):
        return
    for name, (parameter, value) in ALLOCATION.items():
        if name not in environment:
            library.mallopt(parameter, value)


def memory(worker: int | None) -> MemoryInfo:
    """Return what is resident now. `worker` is the process id of the worker, if it runs."""
    return MemoryInfo(_resident(os.getpid()), None if worker is None else _resident(worker))


def _resident(pid: int) -> float | None:
    found = resident(pid)
    return None if found is None else round(found / MB, 1)
