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
    """A number of bytes that may be held. Any thread may take them; the event loop gives them back and waits."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.used = 0
        self._lock = threading.Lock()
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    def take(self, count: int) -> bool:
        """Take `count` bytes more if there is room. Returns whether there was."""
        with self._lock:
            if self.used + count > self.max_bytes:
                return False
            self.used += count
            return True

    def give(self, count: int) -> None:
        """Give back `count` bytes, and hand them on to the tasks that wait, in the order in which they came."""
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
        """Take `count` bytes as soon as there is room. They must not be more than `max_bytes`."""
        if not self._waiting and self.take(count):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((count, turn))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # they were handed over just now
                self.give(count)
            else:
                turn.cancel()
                self.give(0)  # there may be room for the tasks behind
            raise


class Part(Budget):
    """A part of another budget: what is taken of it is taken of the whole too."""

    def __init__(self, whole: Budget, max_bytes: int) -> None:
        super().__init__(max_bytes)
        self._whole = whole

    def take(self, count: int) -> bool:
        """Take `count` bytes more if there is room in the part and in the whole. Returns whether there was."""
        if not super().take(count):
            return False
        if self._whole.take(count):
            return True
        super().give(count)
        return False

    def give(self, count: int) -> None:
        """Give back `count` bytes to the part and to the whole."""
        super().give(count)
        self._whole.give(count)


class Reservation:
    """The bytes that one request holds of a budget, which is called `name` in the settings.

    Leaving its context gives everything back. Bytes that are reserved are used up before more are taken.
    """

    def __init__(self, budget: Budget, name: str) -> None:
        self._budget = budget
        self._name = name
        self._held = 0
        self._spare = 0  # of these, the bytes that are reserved and not used

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    def take(self, count: int) -> None:
        """Use `count` bytes more. Raises RequestError: 413 if they could never be had, 429 if not now."""
        try:
            self.reserve(count)
        except Full:
            raise RequestError(429, f"too many clips are waiting: {self._name} is used up", retry_after=1) from None
        self._spare -= count

    def check(self, count: int) -> None:
        """Raise RequestError as take() would, without taking anything."""
        self.take(count)
        self.give(count)

    def reserve(self, count: int) -> None:
        """Have `count` bytes to use. Raises Full if there is no room now, and RequestError 413 if there never is."""
        wanted = max(0, count - self._spare)
        if wanted and not self._budget.take(wanted):
            if self._held + wanted > self._budget.max_bytes:
                raise RequestError(413, f"the clip needs more memory than {self._name} allows")
            raise Full(wanted)
        self._held += wanted
        self._spare += wanted

    async def wait_for_room(self, count: int, timeout: float) -> None:
        """Reserve `count` bytes more as soon as there is room. Raises RequestError 429 after `timeout` seconds."""
        try:
            async with asyncio.timeout(timeout):
                await self._budget.wait(count)
        except TimeoutError:
            raise RequestError(429, f"too many clips are waiting: {self._name} is used up", retry_after=5) from None
        self._held += count
        self._spare += count

    def give(self, count: int) -> None:
        """Give back `count` of the bytes that were used."""
        self._held -= count
        self._budget.give(count)

    def release(self) -> None:
        """Give back everything."""
        held, self._held, self._spare = self._held, 0, 0
        self._budget.give(held)
