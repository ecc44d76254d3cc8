"""A Python process of our own beside the daemon or a command. Torch is imported there and nowhere else."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
from asyncio.subprocess import DEVNULL
from collections.abc import Callable
from pathlib import Path

from earmark.errors import ModelError

# Otherwise torch's threads spin while they wait for each other. On two cores with a busy neighbour a forward pass then
# took 200 ms instead of 9
PASSIVE_WAITING = {"OMP_WAIT_POLICY": "passive"}
SOURCES = str(Path(__file__).parents[2])  # the folder of the package earmark


def command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs `module` in a process of its own."""
    return [sys.executable, "-P", "-m", module, *arguments]  # -P: no module from the working directory


def environment() -> dict[str, str]:
    """Return the environment in which the process finds this very package, whether it is installed or not."""
    path = os.pathsep.join(filter(None, [SOURCES, os.environ.get("PYTHONPATH")]))
    return {**PASSIVE_WAITING, **os.environ, "PYTHONPATH": path}


async def succeeds(module: str, *arguments: str, seconds: float) -> bool:
    """Return whether `module` ends with success, and within so many seconds. Cancelled, it kills the process."""
    process = await asyncio.create_subprocess_exec(
        *command(module, *arguments), stdin=DEVNULL, stdout=DEVNULL, stderr=DEVNULL, env=environment()
    )
    try:
        async with asyncio.timeout(seconds):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def run(module: str, *arguments: str, tell: Callable[[str], None] = lambda line: None) -> None:
    """Run `module` to its end, and give each line of its standard output to `tell`.

    Raises ModelError with the last line of its standard error if it fails. If `tell` raises, or on Ctrl-C, the process
    is killed.
    """
    with tempfile.TemporaryFile("w+", errors="replace") as complaints:
        process = subprocess.Popen(
            command(module, *arguments),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            errors="replace",
            env=environment(),
        )
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    tell(line.rstrip())
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status:
            complaints.seek(0)
            lines = complaints.read().strip().splitlines() or [f"{module} ended with status {status}"]
            raise ModelError(lines[-1])
