"""The border between a source's thread and the listening thread."""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from earmark.audio.types import SECOND, Block, Nanoseconds, Samples

QUEUE_SECONDS = 4.0  # of sound, before offer() drops the oldest
PUT_SECONDS = 1.0  # of sound, before put() waits


@dataclass(frozen=True, slots=True)
class Started:
    """The source delivers: `device` is what people call it, `rate` in Hz is what it delivers at."""

    device: str
    rate: int


@dataclass(frozen=True, slots=True)
class Failed:
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


News = Started | Failed | Ended | Overflowed
Item = Block | News
T = TypeVar("T", covariant=True)


@dataclass(frozen=True, slots=True, eq=False)
class _Numbered(Generic[T]):
    number: int
    item: T


class Intake:
    """A bounded queue of one source's sound and of what happens to it.

    The source's thread calls begin() before any sound, then offer() or put() and overflowed(), all from one thread at
    a time; broke() and end() may come from another. The listening thread calls drain(). Either side calls close().
    `wake` is called after all but overflowed() and close(), from the source's thread, and must neither block nor raise.
    A full queue loses its oldest blocks: the positions jump, and `dropped` counts the samples. News is never dropped.

    No lock, because offer() runs on the real-time thread. Instead every number here has one writer, the two queues are
    deques whose ends are atomic, and everything carries a running number by which drain() restores the order. Sound and
    news have a queue each, so that dropping the oldest sound never has to take news out and put it back: between the
    two the listening thread could look, and would hear "began" before the "broke" that it followed.
    """

    def __init__(
        self,
        name: str,
        wake: Callable[[], None],
        *,
        live: bool = True,
        rates: tuple[int, ...] = (16000,),
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        room: threading.Event | None = None,
    ) -> None:
        self.name = name
        self.live = live
        self.rates = rates  # what the classifiers want; a source that can choose takes rates[0]
        self.dropped = 0  # samples, at the source's rate; written by offer()
        self._wake = wake
        self._clock = clock
        self._blocks: deque[_Numbered[Block]] = deque()
        self._news: deque[_Numbered[News]] = deque()
        self._numbers = itertools.count(1)  # next() on it is atomic
        self._offered = 0  # samples; written by offer()
        self._taken = 0  # samples; written by drain()
        self._ahead: list[_Numbered[Item]] = []  # drain()'s own: what it must not hand out yet
        self._told = 0  # overflows; written by overflowed()
        self._heard = 0  # overflows; written by drain()
        self._rate = 0
        self._position = 0
        self._last: Nanoseconds | None = None  # when the last sample came; None before the first
        self._resuming = False
        self._room = room or threading.Event()  # put() waits for it
        self._room.set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """True once nobody listens any more: the source should end."""
        return self._closed

    def begin(self, device: str, rate: int) -> None:
        """The source starts, or starts again, to deliver at `rate` Hz. Call it when there is sound to offer.

        For a live source, the time from the last sample before to the first sample after becomes a jump.
        """
        if self._rate:
            self._position = round(self._position * rate / self._rate)
        self._rate = rate
        self._resuming = self.live
        self._push(Started(device, rate))

    def offer(self, samples: Samples) -> None:
        """Take the next samples, mono. Real-time safe: it copies nothing, and drops the oldest when full.

        The array becomes read-only and must not change by other ways either: a callback hands over a copy.
        """
        if self._closed:
            return
        now = self._clock()
        if self._resuming:
            self._resuming = False
            if self._last is not None:  # the first of these samples sounded their own length ago
                missed = now - self._last - len(samples) * SECOND // self._rate
                self._position += max(0, missed) * self._rate // SECOND
        self._last = now
        samples.flags.writeable = False
        block = Block(self._position, samples, self._rate, now)
        self._position += len(samples)
        self._offered += len(samples)
        self._blocks.append(_Numbered(next(self._numbers), block))
        if self.live and self._queued() > QUEUE_SECONDS * self._rate:
            self._drop_oldest()
        self._wake()

    def put(self, samples: Samples) -> bool:
        """Like offer(), but waits for room: for sources that can wait. False once nobody listens any more."""
        while not self._closed:
            if self._queued() < PUT_SECONDS * self._rate:
                self.offer(samples)
                return True
            self._room.clear()
            # Looked at again, for drain() or close() may have run between the two lines above. So the wait ends: both
            # change what is looked at before they set the event.
            if self._queued() >= PUT_SECONDS * self._rate and not self._closed:
                self._room.wait()
        return False

    def overflowed(self) -> None:
        """The sound server lost samples before the next block. Real-time safe.

        One is told for all since the last drain(), so that a device which overflows at every block cannot fill memory
        when nobody drains.
        """
        if self._told == self._heard:
            self._told += 1
            self._append(Overflowed(self._position))

    def broke(self, state: Literal["starting", "lost", "stalled"], detail: str) -> None:
        """The source does not deliver; `detail` says why and what happens next."""
        self._push(Failed(state, detail))

    def end(self, error: str = "") -> None:
        """Nothing more will come."""
        self._push(Ended(error))

    def drain(self) -> list[Item]:
        """Everything queued, oldest first. On the listening thread, which resets what `wake` set before it calls this.

        What is numbered while we look waits for the next call, for we may have looked at the other queue already and
        missed what precedes it. A thread takes a number only when what it numbered before is in its queue.
        """
        looking = next(self._numbers)
        blocks = _take_all(self._blocks)
        for numbered in blocks:
            self._taken += len(numbered.item.samples)
        if not self._room.is_set():
            self._room.set()
        if not self._news and not self._ahead and (not blocks or blocks[-1].number < looking):
            return [numbered.item for numbered in blocks]  # nearly always: sound, and nothing else
        items: list[_Numbered[Item]] = sorted([*self._ahead, *blocks, *_take_all(self._news)], key=_number)
        self._ahead = [numbered for numbered in items if numbered.number > looking]
        drained = [numbered.item for numbered in items if numbered.number < looking]
        self._heard += sum(isinstance(item, Overflowed) for item in drained)
        return drained

    def holds_less_than(self, samples: int) -> bool:
        """Nothing but less than `samples` of sound waits: it may be left to gather. On the listening thread."""
        return self._queued() < samples and not self._news and not self._ahead

    def close(self) -> None:
        """Nobody listens any more: sound and news are refused, and put() returns False. May be called twice."""
        self._closed = True
        self._room.set()

    def _push(self, news: News) -> None:
        if not self._closed:
            self._append(news)
            self._wake()

    def _append(self, news: News) -> None:
        self._news.append(_Numbered(next(self._numbers), news))

    def _queued(self) -> int:
        # Read on both threads; stale is fine: the queue is then a block longer or shorter than its bound for a moment.
        return self._offered - self.dropped - self._taken

    def _drop_oldest(self) -> None:
        while len(self._blocks) > 1 and self._queued() > QUEUE_SECONDS * self._rate:
            try:
                oldest = self._blocks.popleft().item
            except IndexError:  # the listening thread was faster
                return
            self.dropped += len(oldest.samples)


def _take_all(queue: deque[_Numbered[T]]) -> list[_Numbered[T]]:
    """Empty a queue that another thread goes on filling."""
    taken = []
    try:
        for _ in range(len(queue)):
            taken.append(queue.popleft())
    except IndexError:  # the source dropped some meanwhile
        pass
    return taken


def _number(numbered: _Numbered[Item]) -> int:
    return numbered.number
