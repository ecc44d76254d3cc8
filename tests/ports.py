"""Servers of other makers at a port of this machine, for tests."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from pathlib import Path


def until_taken(process: subprocess.Popen[bytes], port: int, log: Path, seconds: float) -> None:
    """Return when the process takes connections. Fails with its log if it ends before, or does not in `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.01)
