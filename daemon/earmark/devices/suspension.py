"""Whether the machine was suspended, which no device and no monotonic clock tells."""

from __future__ import annotations

import time
from collections.abc import Callable

from earmark.audio.types import SECOND, Nanoseconds

MIN_SECONDS = 0.5  # a shorter suspension is told by nothing but a late block
ATTEMPTS = 3
SLOW = SECOND // 100  # between the readings of the two clocks, the thread stood still itself


def since_boot() -> Nanoseconds:
    """Return the time since the machine was started, with the time for which it was suspended (Linux alone tells it).

    Elsewhere it is the monotonic clock, so that no suspension is ever noticed.
    """
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic_ns()


class Suspension:
    """Compare two clocks, of which one stands still while the machine is suspended. Used on one thread."""

    def __init__(
        self,
        monotonic: Callable[[], Nanoseconds] = time.monotonic_ns,
        boottime: Callable[[], Nanoseconds] = since_boot,
    ) -> None:
        self._monotonic = monotonic
        self._boottime = boottime
        self._suspended = self._total() or 0

    def seconds(self) -> float:
        """Return for how many seconds the machine was suspended since the last call; 0: it was not."""
        total = self._total()
        if total is None or total - self._suspended < MIN_SECONDS * SECOND:
            return 0.0
        before, self._suspended = self._suspended, total
        return (total - before) / SECOND

    def _total(self) -> Nanoseconds | None:
        """Return for how long the machine has been suspended since its start, or None if that cannot be told now."""
        for _ in range(ATTEMPTS):
            before, boottime, after = self._monotonic(), self._boottime(), self._monotonic()
            if after - before < SLOW:
                return boottime - before
        return None
