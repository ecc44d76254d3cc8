"""The socket at which a service manager such as systemd listens, for tests."""

from __future__ import annotations

import queue
import socket
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.daemon import DEADLINE

SIGN = "WATCHDOG=1"


class Manager:
    """Takes what a daemon tells its manager. `environment` is what the daemon must be given.

    Leaving the context closes the socket.
    """

    def __init__(self, folder: Path, watchdog_seconds: float | None = None) -> None:
        path = folder / "notify"
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self.environment = {"NOTIFY_SOCKET": str(path)}
        if watchdog_seconds is not None:
            self.environment["WATCHDOG_USEC"] = str(round(watchdog_seconds * 1e6))
        self._messages: queue.Queue[str] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as own:
            own.sendto(b"", self.environment["NOTIFY_SOCKET"])
        self._thread.join(5)
        self._socket.close()

    def next(self, seconds: float = DEADLINE) -> str:
        """The next message. Raises queue.Empty if none comes."""
        return self._messages.get(timeout=seconds)

    def until(self, beginning: str) -> str:
        """The next message that begins so."""
        deadline = time.monotonic() + DEADLINE
        while not (message := self.next(max(0.01, deadline - time.monotonic()))).startswith(beginning):
            pass
        return message

    def signs(self, seconds: float) -> int:
        """How many signs of life come from now on, in so many seconds."""
        while not self._messages.empty():
            self._messages.get()
        count, deadline = 0, time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            try:
                count += self.next(left) == SIGN
            except queue.Empty:
                break
        return count

    def _read(self) -> None:
        while data := self._socket.recv(4096):
            self._messages.put(data.decode())
