"""The daemon as a process of its own, for benchmarks."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from tests.ports import free_port

DEADLINE_SECONDS = 120.0  # within which a daemon must be ready


class Daemon:
    """A running daemon. `started` is the time.monotonic() of its command."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, notices: socket.socket, started: float) -> None:
        self.pid = process.pid
        self.port = port
        self.started = started
        self._process = process
        self._notices = notices

    def until_healthy(self) -> float:
        """Return the seconds from the command to the first response to /health."""
        while time.monotonic() - self.started < DEADLINE_SECONDS:
            with contextlib.suppress(urllib.error.URLError, ConnectionError):
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/health", timeout=5):
                    return time.monotonic() - self.started
            self._check()
            time.sleep(0.002)
        raise TimeoutError("the daemon does not answer")

    def until_ready(self) -> float:
        """Return the seconds from the command to the notice of readiness that systemd would get."""
        self._notices.settimeout(1.0)
        while time.monotonic() - self.started < DEADLINE_SECONDS:
            with contextlib.suppress(TimeoutError):
                if b"READY=1" in self._notices.recv(4096):
                    return time.monotonic() - self.started
            self._check()
        raise TimeoutError("the daemon does not become ready")

    def _check(self) -> None:
        if self._process.poll() is not None:
            raise RuntimeError(f"the daemon ended with status {self._process.returncode}")


@contextlib.contextmanager
def daemon(
    *arguments: str, extra: Mapping[str, str] = MappingProxyType({}), log: Path | None = None
) -> Iterator[Daemon]:
    """Run `python -m earmark` with these arguments on a free port until the context is left.

    `extra` is added to its environment, and what it logs is written to `log`.
    """
    port = free_port()
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind(str(Path(folder) / "notify"))
        environment = os.environ | extra | {"NOTIFY_SOCKET": str(Path(folder) / "notify"), "XDG_STATE_HOME": folder}
        command = [sys.executable, "-m", "earmark", "--listen", f"127.0.0.1:{port}", "--quiet", *arguments]
        started = time.monotonic()
        with open(log or os.devnull, "wb") as stderr:
            process = subprocess.Popen(command, env=environment, stderr=stderr)
        try:
            yield Daemon(process, port, notices, started)
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
