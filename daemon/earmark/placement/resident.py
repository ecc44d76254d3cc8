"""How much memory a process has."""

from __future__ import annotations

import os
from pathlib import Path


def resident(pid: int) -> int | None:
    """Return the bytes that are resident. None if there is no such process, or where the system is not Linux."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return None
    return pages * os.sysconf("SC_PAGE_SIZE")
