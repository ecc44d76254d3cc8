"""How the C library gives freed memory back.

glibc raises by itself the size from which an allocation has pages of its own that are returned when it is freed. After
the first large clip, clips of all sizes therefore lie in the heaps of as many arenas as there are threads, and small
objects between them keep their pages: the resident memory of a daemon that is posted clips wanders, with no bound near.
What lies free between small objects goes back only if it is asked to.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8  # of <malloc.h>
ALLOCATION = {  # the environment's name for each setting that a user may have made, and ours
    "MALLOC_MMAP_THRESHOLD_": (M_MMAP_THRESHOLD, 256 * 1024),  # bytes: blocks of a clip are larger, windows smaller
    "MALLOC_TRIM_THRESHOLD_": (M_TRIM_THRESHOLD, 1024 * 1024),  # bytes at the end of the heap
    "MALLOC_ARENA_MAX": (M_ARENA_MAX, 2),
}
TRIM_SECONDS = 60.0  # from one return of free pages to the next; each takes a millisecond or two


def return_freed(environment: Mapping[str, str] = os.environ, library: Any = None) -> None:
    """Have the C library return freed memory to the system. Called before there are threads.

    What the environment sets stays. Does nothing without glibc, of which `library` is a stand-in for tests.
    """
    library = library or _library()
    if not hasattr(library, "mallopt"):
        return
    for name, (parameter, value) in ALLOCATION.items():
        if name not in environment:
            library.mallopt(parameter, value)


async def keep_returning(library: Any = None, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
    """Have the C library return free pages again and again. Ends by being cancelled, or at once without glibc."""
    library = library or _library()
    while hasattr(library, "malloc_trim"):
        await pause(TRIM_SECONDS)
        return_free_pages(library)


def return_free_pages(library: Any = None) -> None:
    """Have the C library return the pages in which nothing lies. Does nothing without glibc."""
    library = library or _library()
    if hasattr(library, "malloc_trim"):
        library.malloc_trim(0)


def _library() -> Any:
    return ctypes.CDLL(None) if sys.platform == "linux" else None
