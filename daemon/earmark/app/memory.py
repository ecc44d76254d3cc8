"""The memory of processes: how much is resident."""

from __future__ import annotations

import os

from earmark.placement.resident import resident
from earmark.telemetry.snapshot import MemoryInfo

MB = 1e6


def memory(worker: int | None) -> MemoryInfo:
    """Return what is resident now. `worker` is the process id of the worker, if it runs."""
    return MemoryInfo(_resident(os.getpid()), None if worker is None else _resident(worker))


def _resident(pid: int) -> float | None:
    found = resident(pid)
    return None if found is None else round(found / MB, 1)
