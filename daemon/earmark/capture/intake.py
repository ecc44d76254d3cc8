"""The queue between the thread of a source and the segmenter thread."""

from __future__ import annotations

import itertools
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TypeVar

import msgspec

from earmark.audio.types import SECOND, Block, Nanoseconds, Samples
from earmark.capture.items import Ended, Failed, FailedState, Gap, Item, Notice, Overflowed, Paused, Started

LONE_SURROGATES = re.compile("[\ud800-\udfff]")  # what Python makes of bytes that are no UTF-8
QUEUE_SECONDS = 4.0  # of sound; beyond, offer() drops the oldest blocks
PUT_SECONDS = 1.0  # of sound; beyond, put() waits

T = TypeVar("T")


class IntakeStats(msgspec.Struct, frozen=True):
    """Counts since the source was added: samples at the source's rates, and overflows of the sound server."""

    offered: int
    queued: int
    dropped: int
    overflows: int


class Intake:
    """A bounded queue of the blocks and notices of one source.

    The thread of the source calls begin() before any sound, then offer() or put() and overflow(), from one thread at a
    time; fail() and end() may come from another thread. The segmenter thread calls drain(). Any thread calls close().
    `wake` is called after each of these but overflow(), drain() and close(), on the thread of the caller, and must
    neither block nor raise; after sound only if as much is queued as expect() says. When the queue is full, the oldest
    blocks are dropped: positions jump, and `dropped` counts the samples. Notices are never dropped.

    The queue itself has no lock, because offer() runs on the real-time thread. Instead every number has one writer, the
    two queues are deques, whose ends are atomic, and every item has a running number by which drain() restores the
    order. Blocks and notices have a queue each. Otherwise, to drop the oldest block, notices would have to be taken out
    and put back, and the segmenter thread could look in between and see Started before the Failed that it followed.

    Two locks remain. `wake` sets a threading.Event where the segmenter thread sleeps, and put() and drain() set or
    clear another one. An Event holds its lock for a few instructions that do not wait for anything, so a thread that
    has to wait for it waits no longer than it may have to wait for the interpreter's own lock.
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
        self.rates = rates  # at which the classifiers want the sound; a source that can choose takes rates[0]
        self.dropped = 0  # samples, at the source's rate; written by offer()
        self._wake = wake
        self._clock = clock
        self._blocks: deque[tuple[int, Block]] = deque()  # with their numbers
        self._notices: deque[tuple[int, Notice]] = deque()  # with theirs
        self._numbers = itertools.count(1)  # next() on it is atomic
        self._offered = 0  # samples; written by offer()
        self._taken = 0  # samples; written by drain()
        self._expected = 0  # samples; written by expect()
        self._held_back: list[tuple[int, Item]] = []  # by drain(), until its next call
        self._overflows_told = 0  # written by overflow()
        self._overflows_taken = 0  # written by drain()
        self._rate = 0
        self._position = 0
        self._last: Nanoseconds | None = None  # when the last sample came; None before the first
        self._resuming = False
        self._missed: float | None = None  # seconds, as begin() was told
        self._suspended: Nanoseconds = 0  # of the time since the last sample, for which the clock stood still
        self._room = room or threading.Event()  # put() waits for it
        self._room.set()
        self._closed = False

    @property
    def closed(self) -> bool:
        """Whether close() was called, so that the source should end."""
        return self._closed

    def begin(self, device: str, rate: int, missed: float | None = None) -> None:
        """Say that the source starts, or starts again, to deliver at `rate` Hz. Call it when there is sound to offer.

        The position of a live source jumps by the sound that it missed, in seconds; if `missed` is left out, by the
        time from its last sample before to its first sample after.
        """
        if self._rate:
            self._position = round(self._position * rate / self._rate)
        self._rate = rate
        self._resuming = self.live
        self._missed = missed
        self._push(Started(_readable(device), rate))

    def suspended(self, seconds: float) -> None:
        """Say that the machine was suspended, so that the clock of the samples stood still for so many seconds.

        A live source missed their sound: its position jumps by them before the next samples, or, if begin() is called
        before these, by them and what it missed besides. On the source's thread.
        """
        if self.live and self._last is not None:
            self._suspended += round(seconds * SECOND)
            if not self._resuming:
                self._resuming, self._missed = True, 0.0

    def offer(self, samples: Samples, captured: Nanoseconds | None = None) -> None:
        """Take the next mono samples. Made for the real-time thread: it copies nothing and never waits for room.

        `captured` is the monotonic time at which the last sample was handed over, now if left out. A full queue drops
        its oldest blocks. The array becomes read-only, and the caller must not change it in any other way: a callback
        passes a copy.
        """
        if self._closed:
            return
        now = self._clock() if captured is None else captured
        if self._resuming:
            self._resuming = False
            self._skip_gap(self._missing(now, len(samples)))
            self._suspended = 0
        self._last = now
        samples.flags.writeable = False
        block = Block(self._position, samples, self._rate, now)
        self._position += len(samples)
        self._offered += len(samples)
        self._blocks.append((next(self._numbers), block))
        queued = self._queued()
        if self.live and queued > QUEUE_SECONDS * self._rate:
            self._drop_oldest()
        if queued >= self._expected:
            self._wake()

    def put(self, samples: Samples) -> bool:
        """Take the next samples like offer(), but wait for room first. Returns False once the intake is closed."""
        while not self._closed:
            if self._queued() < PUT_SECONDS * self._rate:
                self.offer(samples)
                return True
            self._room.clear()
            # drain() or close() may have run between the two lines above, so look again. The wait ends because both
            # of them change what is looked at here before they set the event.
            if self._queued() >= PUT_SECONDS * self._rate and not self._closed:
                self._room.wait()
        return False

    def overflow(self) -> None:
        """Say that the sound server lost samples before the next block. Made for the real-time thread.

        Overflows between two drains count as one, so that a device which overflows at every block cannot fill the
        memory while nobody drains.
        """
        if self._overflows_told == self._overflows_taken:
            self._overflows_told += 1
            self._append(Overflowed(self._position))

    def pause(self, long: bool) -> None:
        """Say that no sound comes for now. See Paused."""
        self._push(Paused(long))

    def fail(self, state: FailedState, detail: str) -> None:
        """Say that the source does not deliver; `detail` says why and what happens next."""
        self._push(Failed(state, _readable(detail)))

    def end(self, error: str = "") -> None:
        """Say that the source will never deliver again."""
        self._push(Ended(_readable(error)))

    def drain(self) -> list[Item]:
        """Take all items in their order. On the segmenter thread, which re-arms `wake` before it calls this.

        An item that gets its number during the call is held back until the next call: an earlier item may have entered
        the other queue after that was read. A thread takes a number only when its previous item is in a queue.
        """
        limit = next(self._numbers)
        blocks = _take_all(self._blocks)
        self._taken += sum([len(block.samples) for _, block in blocks])
        if not self._room.is_set():
            self._room.set()
        if not self._notices and not self._held_back and (not blocks or blocks[-1][0] < limit):
            return [block for _, block in blocks]  # the usual case: blocks alone
        items: list[tuple[int, Item]] = sorted([*self._held_back, *blocks, *_take_all(self._notices)], key=_number)
        self._held_back = [numbered for numbered in items if numbered[0] > limit]
        drained = [item for number, item in items if number < limit]
        self._overflows_taken += sum(isinstance(item, Overflowed) for item in drained)
        return drained

    def expect(self, samples: int) -> None:
        """Call `wake` for sound only when so many samples are queued, from now on. On the segmenter thread.

        Nothing is overlooked: either offer() sees the new number, or what it has queued is seen here. What drain() held
        back is queued no more, but wakes too.
        """
        self._expected = samples
        if self._held_back or (self._blocks and self._queued() >= samples):
            self._wake()

    @property
    def has_enough(self) -> bool:
        """Whether the queue has as many samples as are expected, or a notice. On the segmenter thread."""
        return self._queued() >= self._expected or bool(self._notices or self._held_back)

    def stats(self) -> IntakeStats:
        """Return the counts. On any thread; numbers that change meanwhile may differ by a block."""
        return IntakeStats(self._offered, self._queued(), self.dropped, self._overflows_told)

    def close(self) -> None:
        """Refuse all sound and notices from now on, and let put() return False. May be called twice."""
        self._closed = True
        self._room.set()

    def _missing(self, now: Nanoseconds, count: int) -> int:
        """Return the samples that are missing before a block of `count` samples, which the source hands over `now`."""
        if self._missed is not None:
            return round((self._missed + self._suspended / SECOND) * self._rate)
        if self._last is None:
            return 0
        missed = now - self._last - count * SECOND // self._rate  # the block's first sample sounded its length ago
        missed += self._suspended
        return missed * self._rate // SECOND

    def _skip_gap(self, samples: int) -> None:
        """Move the position over samples that were not delivered."""
        if samples > 0:
            start, self._position = self._position, self._position + samples
            self._append(Gap(start, self._position, self._rate))

    def _push(self, notice: Notice) -> None:
        if not self._closed:
            self._append(notice)
            self._wake()

    def _append(self, notice: Notice) -> None:
        self._notices.append((next(self._numbers), notice))

    def _queued(self) -> int:
        # Read on both threads. A stale value does no harm: the queue is a block longer or shorter than its bound for
        # a moment.
        return self._offered - self.dropped - self._taken

    def _drop_oldest(self) -> None:
        while len(self._blocks) > 1 and self._queued() > QUEUE_SECONDS * self._rate:
            try:
                _, oldest = self._blocks.popleft()
            except IndexError:  # the segmenter thread took them all
                return
            self.dropped += len(oldest.samples)


def _take_all(queue: deque[T]) -> list[T]:
    """Empty a queue that another thread may be filling."""
    taken = []
    try:
        for _ in range(len(queue)):
            taken.append(queue.popleft())
    except IndexError:  # the source dropped some blocks meanwhile
        pass
    return taken


def _number(numbered: tuple[int, Item]) -> int:
    return numbered[0]


def _readable(text: str) -> str:
    """Return the text as it can be encoded: names of files and devices may hold bytes that are no UTF-8."""
    return LONE_SURROGATES.sub("\N{REPLACEMENT CHARACTER}", text)
