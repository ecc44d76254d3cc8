"""Daemons that a test kills, one after the other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.daemon import DEADLINE, ROOT, environment

SETTINGS = """
[journal]
path = "{folder}"

[[source]]
kind = "file"
name = "demo"
path = "{demo}"
loop = true

[[classifier]]
name = "words"
gate = "open"
mode = "sliding"
hop = 0.05
decide.hits = 1
decide.on = 0.5
decide.off = 0.4
decide.min_on = 0.1
"""
"""A daemon that hears the demo again and again, and keeps its journal in a folder."""


class Lives:
    """Starts daemons of tests.lives over one journal, and kills them."""

    def __init__(self, folder: Path, port: int = 0, pause: float = 0.002) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.lives", str(folder), str(port), str(pause)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**environment(), "PYTHONPATH": f"{ROOT}:{environment()['PYTHONPATH']}"},
        )
        self._pid = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pid:
            self.kill()
        self._process.communicate(timeout=DEADLINE)

    def start(self) -> None:
        self._say("start")
        self._pid = int(self._line())

    def served(self) -> tuple[str, str, int]:
        """The address of the daemon, its epoch and the newest number before it; waited for."""
        port, epoch, newest = self._line().split()
        return f"ws://127.0.0.1:{port}/v1/events", epoch, int(newest)

    def kill(self) -> None:
        os.kill(self._pid, signal.SIGKILL)
        self._pid = 0
        self._say("reap")
        while self._line() != "reaped":  # it may have told that it serves meanwhile
            pass

    def _say(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the daemons have ended"
        return line.strip()
