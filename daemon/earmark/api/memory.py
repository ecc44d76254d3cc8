"""The memory that all requests may hold together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from types import TracebackType
from typing import Self

from earmark.errors import RequestError


class Full(Exception):
    """There is no room for `count` bytes now."""

    def __init__(self, count: int) -> None:
        super().__init__("there is no room now")
        self.count = count


class Budget:
    """So many bytes. Taken from any thread, given back and waited for on the event loop."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.used = 0
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take(self, count: int) -> bool:
        """Whether there was room for so many bytes more; then they are taken."""
        with self._lock:
            if self.used + count > self.most:
                return False
            self.used += count
            return True

    def give(self, count: int) -> None:
        """Give back what was taken; whoever waits gets it in the order of coming."""
        with self._lock:
            self.used -= count
        while self._waiting:
            wanted, turn = self._waiting[0]
            if not turn.done() and not self.take(wanted):
                return
            self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)

    async def wait(self, count: int) -> None:
        """Take so many bytes as soon as there is room. They must be less than `most`."""
        if not self._waiting and self.take(count):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # it was given just now
                self.give(count)
            else:
                turn.cancel()
                self.give(0)  # whoever waits behind may have room
            raise


class Reservation:
    """What one request holds of a budget, `name` in the settings. Leaving its context gives everything back.

    What is reserved is used up before more is taken.
    """

    def __init__(self, budget: Budget, name: str) -> None:
        self._budget = budget
        self._name = name
        self._held = 0
        self._spare = 0  # of that, what is reserved and not used

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, count: int) -> None:
        """Use so many bytes more. Raises RequestError 413 where they could never be had, 429 where not now."""
        wanted = max(0, count - self._spare)
        if not self._budget.take(wanted):
            self._check(wanted)
            raise RequestError(429, f"too many clips are waiting: {self._name} is used up", retry_after=1)
        self._held += wanted
        self._spare += wanted - count

    def reserve(self, count: int) -> None:
        """Have so many bytes to use. Raises Full where that is not possible now, RequestError 413 where it never is."""
        wanted = max(0, count - self._spare)
        if wanted and not self._budget.take(wanted):
            self._check(wanted)
            raise Full(wanted)
        self._held += wanted
        self._spare += wanted

    async def room(self, count: int, seconds: float) -> None:
        """Reserve so many bytes more as soon as there is room. Raises RequestError 429 after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                await self._budget.wait(count)
        except TimeoutError:
            raise RequestError(429, f"too many clips are waiting: {self._name} is used up", retry_after=5) from None
        self._held += count
        self._spare += count

    def release(self) -> None:
        """Hold nothing any more."""
        held, self._held, self._spare = self._held, 0, 0
        self._budget.give(held)

    def _check(self, wanted: int) -> None:
        if self._held + wanted > self._budget.most:
            raise RequestError(413, f"the clip needs more memory than {self._name} allows")
