"""The inbox of the segmenter thread: requests from other threads, and the sources that have sound for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import msgspec

from earmark.audio.types import Nanoseconds, Samples
from earmark.capture.intake import Intake, IntakeStats
from earmark.errors import EarmarkError
from earmark.gating.silero import Silero
from earmark.gating.sound_times import SoundStats, SoundTimes
from earmark.protocol.events import OffReason
from earmark.windowing.classifier_stream import ClassifierInput

MAX_OUTSTANDING_WINDOWS = 64  # of a source that can wait


class SourceStats(msgspec.Struct, frozen=True):
    """Counts of one source since it was added. `outstanding` windows have no answer yet."""

    name: str
    intake: IntakeStats
    windows: int
    outstanding: int
    sound: SoundStats


class SharedSource:
    """A source as all threads see it: its intake, and the number of its windows that have no answer yet.

    Every attribute has one writer at a time, so there is no lock, and a stale value does no harm.
    """

    def __init__(
        self, name: str, inbox: Inbox, *, live: bool, rates: tuple[int, ...], clock: Callable[[], Nanoseconds]
    ) -> None:
        self.intake = Intake(name, self.wake, live=live, rates=rates, clock=clock)
        self.times = SoundTimes()
        self._inbox = inbox
        self.woken = False  # set by wake(), cleared by Inbox.take()
        self._windows = 0
        self._answered = 0

    def wake(self) -> None:
        """Say that the intake has something. From any thread, also the real-time thread.

        It takes a lock only if the segmenter thread is not awake yet: that of its event, which nobody holds for long.
        """
        if not self.woken:
            self.woken = True
            self._inbox.add_ready(self)

    def sent(self, windows: int) -> None:
        """Count windows that were delivered. On the segmenter thread."""
        self._windows += windows

    def answered(self) -> None:
        """Count a window that was answered or dropped. On the event loop.

        An answer too many is that of an earlier source, which was removed and had the same name.
        """
        if self._answered == self._windows:
            return
        self._answered += 1
        if not self.intake.live and not self.must_wait:
            self.wake()

    @property
    def must_wait(self) -> bool:
        """Whether the source can wait, and must, because so many of its windows have no answer yet."""
        return not self.intake.live and self._windows - self._answered >= MAX_OUTSTANDING_WINDOWS

    def stats(self) -> SourceStats:
        """Return the counts."""
        windows, answered = self._windows, self._answered
        return SourceStats(self.intake.name, self.intake.stats(), windows, windows - answered, self.times.stats())


@dataclass(frozen=True, slots=True, eq=False)
class AddSource:
    source: SharedSource
    inputs: Sequence[ClassifierInput]
    seconds: float
    silero: Silero | None


@dataclass(frozen=True, slots=True, eq=False)
class RemoveSource:
    source: SharedSource
    reason: OffReason = "reload"
    detail: str = "it was removed"


@dataclass(frozen=True, slots=True, eq=False)
class ChangeClassifier:
    source: SharedSource
    chosen: ClassifierInput
    seconds: float
    silero: Silero | None


@dataclass(frozen=True, slots=True, eq=False)
class TuneClassifier:
    source: SharedSource
    chosen: ClassifierInput
    seconds: float


@dataclass(frozen=True, slots=True, eq=False)
class RemoveClassifier:
    source: SharedSource
    classifier: str


@dataclass(frozen=True, slots=True, eq=False)
class Read:
    source: SharedSource
    rate: int
    start: int
    end: int
    future: Future[Samples]


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Sound that was read from a ring: `samples` from `position` on."""

    position: int
    samples: Samples


@dataclass(frozen=True, slots=True, eq=False)
class Capture:
    source: SharedSource
    rate: int
    start: int
    end: int
    future: Future[Excerpt]


@dataclass(frozen=True, slots=True, eq=False)
class Settle:
    future: Future[None]


Order = AddSource | RemoveSource | ChangeClassifier | TuneClassifier | RemoveClassifier | Read | Capture
Request = Order | Settle


class Inbox:
    """What other threads want of the segmenter thread. Any thread adds; the segmenter thread waits and takes.

    It has no lock of its own: the ends of a deque are atomic. The event has one, which wait(), add_ready() and post()
    hold for a few instructions.
    """

    def __init__(self) -> None:
        self._ready: deque[SharedSource] = deque()
        self._requests: deque[Request] = deque()
        self._event = threading.Event()
        self._closed = False

    def add_ready(self, source: SharedSource) -> None:
        """Add a source whose intake has something."""
        self._ready.append(source)
        if not self._event.is_set():
            self._event.set()

    def post(self, request: Request) -> None:
        """Add a request. After close() what has a future fails at once, and other requests have no effect."""
        self._requests.append(request)
        self.wake()
        if self._closed:  # after the append: either close() has seen the request, or it is seen here
            self._refuse()

    def wake(self) -> None:
        """Let wait() return."""
        self._event.set()

    def wait(self) -> None:
        """Wait until something was added."""
        self._event.wait()
        self._event.clear()

    def take(self) -> tuple[list[SharedSource], list[Request]]:
        """Take the sources that have something, each once, and all requests.

        Sources are taken first: the request that added a source was posted before its first sound, so it is among the
        requests or was taken earlier. A source that wakes after this is taken again; the caller drains its intake after
        this, so no sound is left behind.
        """
        ready: dict[SharedSource, None] = {}
        for _ in range(len(self._ready)):
            source = self._ready.popleft()
            source.woken = False
            ready[source] = None
        return list(ready), [self._requests.popleft() for _ in range(len(self._requests))]

    def close(self) -> None:
        """Fail the requests with a future that were not answered, and those that still come."""
        self._closed = True
        self._refuse()

    def _refuse(self) -> None:
        while self._requests:
            try:
                request = self._requests.popleft()
            except IndexError:  # another thread took it
                return
            if isinstance(request, Read | Capture | Settle) and request.future.set_running_or_notify_cancel():
                request.future.set_exception(EarmarkError("the sound cannot be read: the segmenter is closed"))
