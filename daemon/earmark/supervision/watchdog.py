"""The watchdog of the service manager, which is told that the daemon lives only while all parts make progress."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Future

from earmark.audio.types import SECOND, Nanoseconds
from earmark.supervision import systemd
from earmark.supervision.progress import Signs, stuck

log = logging.getLogger(__name__)

SIGNS_PER_TIMEOUT = 4  # so that one or two that come late do no harm
MAX_PAUSE_SECONDS = 5.0


class Rounds:
    """Asks a thread for a round again and again, and knows for how long it owes one. On the event loop.

    `ask` returns a future that is done when the thread has made a round.
    """

    def __init__(self, ask: Callable[[], Future[None]], clock: Callable[[], Nanoseconds] = time.monotonic_ns) -> None:
        self._ask = ask
        self._clock = clock
        self._asked: Future[None] | None = None
        self._asked_at = clock()

    def owed(self) -> float:
        """Return the seconds for which a round has been owed, and ask for the next one if it was made."""
        now = self._clock()
        if self._asked is None or self._asked.done():
            self._asked, self._asked_at = self._ask(), now
        return (now - self._asked_at) / SECOND


class Watchdog:
    """Sends WATCHDOG=1 while nothing is stuck. On the event loop, so that it stands still when that does.

    `signs` tells what is seen of the parts. What is stuck is said once in the log and to `systemctl status`, and so is
    its end. `seconds` is the timeout of the service manager; None is none, and then run() does nothing.
    """

    def __init__(
        self,
        signs: Callable[[], Signs],
        seconds: float | None,
        *,
        notify: Callable[[str], object] = systemd.notify,
        tell: Callable[[str], None] = systemd.tell,
    ) -> None:
        self._signs = signs
        self._seconds = seconds
        self._notify = notify
        self._tell = tell
        self._told = False

    async def run(self) -> None:
        """Send signs of life in time. Ends by being cancelled."""
        if self._seconds is None:
            return
        while True:
            try:
                self.look()
            except Exception:  # then no sign goes out either, and the daemon is restarted
                log.exception("the watchdog met an error")
            await asyncio.sleep(min(MAX_PAUSE_SECONDS, self._seconds / SIGNS_PER_TIMEOUT))

    def look(self) -> None:
        """Send a sign of life unless something is stuck."""
        found = stuck(self._signs())
        if not found:
            self._notify("WATCHDOG=1")
            if self._told:
                log.warning("the watchdog is fed again: all parts make progress")
                self._tell("serving")
        elif not self._told:
            log.error("the watchdog is not fed: %s; systemd restarts the daemon if that lasts", "; ".join(found))
            self._tell(f"stuck: {'; '.join(found)}")
        self._told = bool(found)
