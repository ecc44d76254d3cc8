"""The processors that this process may use: in a container, fewer than the machine has."""

from __future__ import annotations

import os
from pathlib import Path


def usable(root: Path = Path("/")) -> int:
    """Return the number of processors by affinity and by the quota of the container, and at least 1.

    A quota of 1.5 processors is one: with two threads the process would stand still for a part of each period.
    """
    affine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min([affine, *map(int, _quotas(root))]))


def _quotas(root: Path) -> list[float]:
    """Return the quotas of the control groups around this process, in processors (cgroups(7), versions 1 and 2)."""
    found = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = line.split(":", 2)
        base = root / "sys/fs/cgroup"
        if controllers and "cpu" not in controllers.split(","):
            continue
        mount = base if not controllers else base / "cpu"
        for folder in [mount / group.strip("/"), *(mount / parent for parent in Path(group.strip("/")).parents), mount]:
            if controllers:
                quota, period = _read(folder / "cpu.cfs_quota_us"), _read(folder / "cpu.cfs_period_us")
            else:
                quota, _, period = _read(folder / "cpu.max").partition(" ")
            if quota.strip().isdigit() and period.strip().isdigit() and int(period):  # not "max", not -1
                found.append(int(quota) / int(period))
    return found


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return ""
