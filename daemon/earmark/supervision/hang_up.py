"""SIGHUP: it asks for a reload, from the first moment on, or tells that the terminal has closed."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from types import FrameType


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


class HangUps:
    """The SIGHUPs of this process, whose default action would end it. Made on the main thread, before anything slow.

    One that comes before listen() is kept for it: what asked for a reload has changed the files, perhaps after they
    were read. Under nohup the signal stays ignored.
    """

    def __init__(self, terminal: Terminal | None = None) -> None:
        self._terminal = terminal or Terminal()
        self._came = False
        self._ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
        if not self._ignored:
            signal.signal(signal.SIGHUP, self._note)

    def listen(
        self, add: Callable[[int, Callable[[], None]], object], reload: Callable[[], None], end: Callable[[], None]
    ) -> None:
        """Call `reload` at each signal, or `end` if the terminal has closed: nobody could end the daemon there.

        `add` is the event loop's add_signal_handler().
        """

        def act() -> None:
            if self._terminal.has_closed():
                end()
            else:
                reload()

        if self._ignored:
            return
        add(signal.SIGHUP, act)
        if self._came:
            act()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self._came = True
