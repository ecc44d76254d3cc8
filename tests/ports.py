"""Ports of this machine that nobody else takes, and servers of other makers there, for tests."""

from __future__ import annotations

import contextlib
import itertools
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

DEADLINE = 30.0  # seconds, for whatever a test waits for

# Linux gives ports from 32768 on to whoever asks for any, and so to the other processes that run tests at the same time
PORTS = range(20_000, 32_000)
_places = itertools.count(os.getpid() * 97)  # each process begins elsewhere


def free_port() -> int:
    """A port that nobody listens on, another one each time, and that nobody gets who asks for any port."""
    while True:
        port = PORTS[next(_places) % len(PORTS)]
        with contextlib.suppress(OSError), socket.socket() as free:
            free.bind(("127.0.0.1", port))
            return port


class PortServer:
    """A program that listens on a free port, which it keeps over end() and start(). Leaving the context ends it."""

    ENDED_BY = signal.SIGTERM

    def __init__(self, log: Path) -> None:
        self.port = free_port()
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        """What starts it."""
        raise NotImplementedError

    def start(self) -> None:
        """Start it, and return when it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        until_taken(self._process, self.port, self._log, DEADLINE)

    def end(self) -> None:
        """End it with ENDED_BY, if it runs."""
        if self._process is not None:
            self._process.send_signal(self.ENDED_BY)
            self._process.wait(DEADLINE)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()


def until_taken(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    """Return when the process takes connections. Fails with its log if it ends before, or does not in `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
