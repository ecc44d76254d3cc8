"""The time of events: that of the wall clock, as long as nobody sets it back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta


class SteadyClock:
    """UTC that never runs backwards: while the wall clock is behind, it goes on at half the speed.

    So times keep the order of the events, none stands still, and two hours after a clock was set back by one hour they
    are those of the wall clock again. They jump forward with it, also when the machine was suspended. `monotonic` is in
    nanoseconds.
    """

    def __init__(self, utc: Callable[[], datetime], monotonic: Callable[[], int]) -> None:
        self._utc = utc
        self._monotonic = monotonic
        self._told = datetime.min.replace(tzinfo=UTC)
        self._asked = monotonic()

    def now(self) -> datetime:
        """Return the time."""
        asked = self._monotonic()
        least = self._told + timedelta(microseconds=(asked - self._asked) // 2000)
        self._told, self._asked = max(self._utc(), least), asked
        return self._told
