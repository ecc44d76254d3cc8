"""The terminal that the daemon was started from."""

from __future__ import annotations

import os
from collections.abc import Callable


def _exists() -> bool:
    """Whether this process has a controlling terminal. After it has closed, there is none (tty(4))."""
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


class Terminal:
    """Tells the SIGHUP of a terminal that closes from one that somebody sends."""

    def __init__(self, exists: Callable[[], bool] = _exists) -> None:
        self._exists = exists
        self._was_there = exists()

    def has_closed(self) -> bool:
        """Whether there was a terminal at first, and is none any more."""
        return self._was_there and not self._exists()
