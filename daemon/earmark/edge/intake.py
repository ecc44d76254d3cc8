"""The border between a source's thread and the listening thread."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from earmark.core.audio import Block, Nanoseconds, Samples

QUEUE_SECONDS = 4.0


@dataclass(frozen=True, slots=True)
class Began:
    """The source delivers: `device` is what people call it, `rate` in Hz is what it delivers at."""

    device: str
    rate: int


@dataclass(frozen=True, slots=True)
class Broke:
    """The source does not deliver any more, or not yet; it is tried again."""

    state: Literal["starting", "lost", "stalled"]
    detail: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The source has delivered all that it ever will. `error` where that is not as it should be."""

    error: str = ""


@dataclass(frozen=True, slots=True)
class Overflowed:
    """The sound server says that it lost samples, not how many."""

    position: int


Item = Block | Began | Broke | Ended | Overflowed


class Intake:
    """A bounded queue of one source's sound and of what happens to it.

    The source's thread calls begin(), offer() or put(), overflowed(), broke() and end(); the listening thread calls
    drain(). `wake` is called after each of them, from the source's thread, and must neither block nor raise.
    A full queue loses its oldest blocks: the positions jump, and `dropped` counts the samples.
    """

    def __init__(
        self,
        name: str,
        wake: Callable[[], None],
        *,
        live: bool = True,
        rates: tuple[int, ...] = (16000,),
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self.name = name
        self.live = live
        self.rates = rates  # what the classifiers want; a source that can choose takes rates[0]
        self.dropped = 0  # samples, at the source's rate
        self._wake = wake
        self._clock = clock
        self._items: deque[Item] = deque()
        self._queued = 0  # samples; read on both threads, a stale value costs one block
        self._rate = 0
        self._position = 0
        self._last: Nanoseconds = 0  # when the last sample came, or 0 before the first
        self._room = threading.Event()
        self._room.set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once nobody listens any more: the source should end."""
        return self._closed

    def begin(self, device: str, rate: int) -> None:
        """The source starts, or starts again, to deliver at `rate` Hz. Time without sound becomes a jump."""
        if self._last:
            missed = max(0, self._clock() - self._last) if self.live else 0
            self._position = round(self._position * rate / self._rate) + missed * rate // 1_000_000_000
        self._rate = rate
        self._last = self._last and self._clock()
        self._push(Began(device, rate))

    def offer(self, samples: Samples) -> None:
        """Take the next samples, mono. Real-time safe: it copies nothing, and drops the oldest when full.

        The array must not change afterwards: a callback hands over a copy.
        """
        self._last = self._clock()
        block = Block(self._position, samples, self._rate, self._last)
        self._position += len(samples)
        self._queued += len(samples)
        self._items.append(block)
        if self.live and self._queued > QUEUE_SECONDS * self._rate:
            self._drop_oldest()
        self._wake()

    def put(self, samples: Samples) -> bool:
        """Like offer(), but waits for room: for sources that can wait. False once nobody listens any more."""
        while not self._closed:
            if self._queued < self._rate:
                self.offer(samples)
                return True
            self._room.clear()
            if self._queued >= self._rate:  # checked again: drain() may have run between the two lines above
                self._room.wait(0.5)
        return False

    def overflowed(self) -> None:
        """The sound server lost samples before the next block. Real-time safe."""
        self._items.append(Overflowed(self._position))

    def broke(self, state: Literal["starting", "lost", "stalled"], detail: str) -> None:
        """The source does not deliver; `detail` says why and what happens next."""
        self._push(Broke(state, detail))

    def end(self, error: str = "") -> None:
        """Nothing more will come."""
        self._push(Ended(error))

    def drain(self) -> list[Item]:
        """Everything queued, oldest first. On the listening thread."""
        items: list[Item] = []
        try:
            while True:
                items.append(self._items.popleft())
        except IndexError:
            pass
        self._queued -= sum(len(item.samples) for item in items if isinstance(item, Block))
        self._room.set()
        return items

    def close(self) -> None:
        """Nobody listens any more: put() returns False from now on."""
        self._closed = True
        self._room.set()

    def _push(self, item: Item) -> None:
        self._items.append(item)
        self._wake()

    def _drop_oldest(self) -> None:
        for _ in range(len(self._items)):
            try:
                item = self._items.popleft()
            except IndexError:  # the listening thread was faster
                return
            if isinstance(item, Block):
                self.dropped += len(item.samples)
                self._queued -= len(item.samples)
                return
            self._items.append(item)  # news is never dropped
