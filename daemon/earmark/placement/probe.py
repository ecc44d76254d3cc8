"""Asks a process of its own whether torch can use a device now."""

from __future__ import annotations

from earmark.checkpoints import child

MODULE = "earmark.worker.device"
SECONDS = 120.0  # for the import of torch, and for a driver that hangs


async def is_usable(device: str) -> bool:
    """Return whether the device is there. Says nothing of its memory. Cancelled, it ends the process."""
    wanted = "cuda" if device == "auto" else device
    return await child.succeeds(MODULE, wanted, "auto", seconds=SECONDS)
