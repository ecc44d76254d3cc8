"""Asks a process of its own whether torch can use a device now."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL

from earmark.checkpoints import child

MODULE = "earmark.worker.device"
SECONDS = 120.0  # for the import of torch, and for a driver that hangs


async def is_usable(device: str) -> bool:
    """Return whether the device is there. Says nothing of its memory. Cancelled, it ends the process."""
    wanted = "cuda" if device == "auto" else device
    process = await asyncio.create_subprocess_exec(
        *child.command(MODULE, wanted, "auto"), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=child.environment()
    )
    try:
        async with asyncio.timeout(SECONDS):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
