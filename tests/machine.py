"""How much of its time the machine did not give, for tests that measure time on a machine which others use too."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Self

SLEEP_SECONDS = 0.01


class Machine:
    """Asks for a short sleep again and again while the context is entered, and notes by how much each was late.

    A process that needs a processor waits for it as long. What must happen within a time has that much more of it.
    """

    def __init__(self) -> None:
        self._late: list[tuple[float, float]] = []  # when a sleep ended, and by how much it was late
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def late(self, since: float) -> float:
        """Return by how many seconds sleeps were late in all since that moment of time.monotonic()."""
        return sum(late for at, late in list(self._late) if at >= since)

    def most_late(self, seconds: float) -> float:
        """Return the most by which they were late in all within any stretch of so many seconds."""
        found, start, total, most = list(self._late), 0, 0.0, 0.0
        for at, late in found:
            total += late
            while at - found[start][0] > seconds:
                total -= found[start][1]
                start += 1
            most = max(most, total)
        return most

    def _run(self) -> None:
        before = time.monotonic()
        while not self._ending.wait(SLEEP_SECONDS):
            now = time.monotonic()
            self._late.append((now, max(0.0, now - before - SLEEP_SECONDS)))
            before = time.monotonic()
