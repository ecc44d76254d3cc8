"""The command `earmark` as people start it."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading

from tests.serving import DEADLINE

COMMAND = [sys.executable, "-W", "error", "-m", "earmark_client"]
ENVIRONMENT = os.environ | {"TZ": "UTC", "PYTHONPATH": "daemon:clients"}


def earmark(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command to its end."""
    return subprocess.run([*COMMAND, *arguments], env=ENVIRONMENT, capture_output=True, text=True, timeout=DEADLINE)


class Running:
    """`earmark` as a process, without a terminal. Its output is read line by line."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [*COMMAND, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=ENVIRONMENT,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout, self.stderr = self.process.stdout, self.process.stderr
        self._deadline = threading.Timer(DEADLINE, self.process.kill)

    def __enter__(self) -> Running:
        self._deadline.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._deadline.cancel()
        self.process.kill()
        self.process.communicate()

    async def line(self) -> str:
        return (await asyncio.to_thread(self.stdout.readline)).rstrip("\n")

    async def notice(self) -> str:
        return (await asyncio.to_thread(self.stderr.readline)).rstrip("\n")

    async def end(self) -> int:
        return await asyncio.to_thread(self.process.wait, DEADLINE)
