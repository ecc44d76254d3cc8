"""The memory of this process: what the system lets it have, and what it gives back."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

ROOM = 1.5  # times the bound of the resident memory, that may be allocated beside the models


def bound_data(resident: int) -> None:
    """Let allocations fail that would take this process far beyond `resident` bytes; 0: none do. Linux only.

    The limit is that of private memory that can be written (RLIMIT_DATA), not of address space, of which libraries
    reserve far more than they use. A process that has passed the bound already gets none, because it could do nothing.
    """
    if sys.platform != "linux" or not resident:
        return
    page = os.sysconf("SC_PAGE_SIZE")
    sizes = [int(pages) * page for pages in Path("/proc/self/statm").read_text().split()]
    if sizes[1] < resident:
        _limit(sizes[5] + round(ROOM * resident))  # the data and the stack that there are


def unbound_data() -> None:
    """Take the limit away, for example to load another model."""
    if sys.platform == "linux":
        _limit(None)


def return_freed() -> None:
    """Give memory that was freed back to the system, which glibc keeps where smaller blocks lie behind it."""
    if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "malloc_trim"):
        ctypes.CDLL(None).malloc_trim(0)


def _limit(wanted: int | None) -> None:
    import resource

    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    allowed = [each for each in (wanted, None if hard == resource.RLIM_INFINITY else hard) if each is not None]
    resource.setrlimit(resource.RLIMIT_DATA, (min(allowed, default=resource.RLIM_INFINITY), hard))
