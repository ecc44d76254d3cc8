"""The messages without a number: the levels of sources, and the ticks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Self

from earmark.audio.types import Nanoseconds
from earmark.broadcast.publisher import rfc3339
from earmark.gating.meter import Reading
from earmark.protocol.events import GateLevel, Level, Passing, Tick
from earmark.windowing.messages import SourceLevel

TICK_SECONDS = 5.0


class PassingEvents:
    """Makes the events that pass without being numbered or kept, and gives them to `broadcast`. On the event loop.

    While it is entered, there is a Tick every `seconds`, with the number of the newest event, which `newest` returns.
    """

    def __init__(
        self,
        broadcast: Callable[[Passing], None],
        newest: Callable[[], int],
        *,
        seconds: float = TICK_SECONDS,
        monotonic: Callable[[], Nanoseconds] = time.monotonic_ns,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._broadcast = broadcast
        self._newest = newest
        self._seconds = seconds
        self._monotonic = monotonic
        self._utc = utc
        self._timer: asyncio.TimerHandle | None = None

    def __enter__(self) -> Self:
        self._set_timer()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def level(self, message: SourceLevel) -> None:
        """Send the level of a source. Its time is that of the last sample in it."""
        age = self._monotonic() - message.captured
        loudness = message.loudness
        self._broadcast(
            Level(
                message.source,
                rfc3339(self._utc() - timedelta(microseconds=age // 1000)),
                round(loudness.db, 1),
                round(loudness.peak_db, 1),
                round(message.floor, 1),
                {name: _gate_level(reading) for name, reading in message.gates.items()},
            )
        )

    def tick(self) -> None:
        """Send the number of the newest event, and do so again in a while."""
        self._set_timer()
        self._broadcast(Tick(self._newest(), rfc3339(self._utc())))

    def _set_timer(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self._seconds, self.tick)


def _gate_level(reading: Reading) -> GateLevel:
    if reading.value is None or reading.threshold is None:
        return GateLevel(reading.open)
    return GateLevel(reading.open, round(reading.value, 2), reading.threshold)
