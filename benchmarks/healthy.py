"""A subscriber that takes every event at once, beside all that comes and goes."""

from __future__ import annotations

import asyncio
import contextlib
import statistics
from collections import defaultdict
from datetime import UTC, datetime

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from earmark.protocol.events import Event, Gap, Hello, Loss, Result, decode


class Healthy:
    """A subscriber that takes every event at once, and notes how long after its sound each result came.

    It also adds up the seconds of sound that are lost, by source and cause.
    """

    def __init__(self, address: str) -> None:
        self.position = ""  # to resume from
        self.missing = 0  # events that it was told it will not get
        self.connects = 0
        self.lost: dict[tuple[str, str], float] = defaultdict(float)
        self._address = address
        self._delays: list[float] = []

    async def run(self) -> None:
        """Subscribe, and again where it left off when the connection ends. Ends by being cancelled."""
        while True:
            since = f"?since={self.position}" if self.position else ""
            with contextlib.suppress(OSError, WebSocketException, TimeoutError):
                async with connect(f"ws://{self._address}/v1/events{since}", compression=None) as stream:
                    self.connects += 1
                    async for message in stream:
                        self._take(decode(message))
            await asyncio.sleep(0.2)

    def delay(self) -> float:
        """Return the 95th percentile of the milliseconds since the last call, or 0 if there was no result."""
        delays, self._delays = self._delays, []
        return 1000 * statistics.quantiles(delays, n=20)[-1] if len(delays) > 1 else 0.0

    def _take(self, event: Event) -> None:
        if isinstance(event, Hello):
            self._epoch = event.epoch
        elif isinstance(event, Gap):
            self.missing += event.to - event.from_ + 1
        elif isinstance(event, Loss):
            self.lost[event.source, event.cause] += event.end - event.start
        elif isinstance(event, Result):
            self.position = f"{self._epoch}:{event.seq}"
            published = datetime.fromisoformat(event.time)
            self._delays.append((datetime.now(UTC) - published).total_seconds() + event.lag)
