"""The event loop: how many tasks it has, and how late it comes round."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from earmark.histogram import Histogram, HistogramCounts

PAUSE_SECONDS = 0.25  # between two looks at the clock
LATE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)  # seconds


class LoopStats(msgspec.Struct, frozen=True):
    """The tasks that are not done, and the distribution of the seconds by which the loop came late to a timer."""

    tasks: int
    late: HistogramCounts


class Loop:
    """Sets one timer after the other and counts how late each comes. On the event loop."""

    def __init__(
        self, *, clock: Callable[[], float] = time.monotonic, pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._pause = pause
        self._late = Histogram(LATE_BOUNDS)

    async def watch(self) -> None:
        """Look at the clock again and again. Ends by being cancelled."""
        while True:
            due = self._clock() + PAUSE_SECONDS
            await self._pause(PAUSE_SECONDS)
            self._late.observe(max(0.0, self._clock() - due))

    def stats(self) -> LoopStats:
        """Return the tasks now, and what was counted so far."""
        return LoopStats(len(asyncio.all_tasks()), self._late.counts())
