"""The segmenter thread, which turns the sound of all sources into windows."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import msgspec

from earmark.audio.types import Nanoseconds, Samples
from earmark.capture.intake import Intake
from earmark.errors import EarmarkError, SourceError
from earmark.gating.silero import Silero
from earmark.protocol.events import OffReason
from earmark.windowing.classifier_stream import ClassifierInput
from earmark.windowing.inbox import (
    AddSource,
    Capture,
    ChangeClassifier,
    Excerpt,
    Inbox,
    Read,
    RemoveClassifier,
    RemoveSource,
    Settle,
    SharedSource,
    SourceStats,
    TuneClassifier,
)
from earmark.windowing.messages import Message
from earmark.windowing.rounds import Rounds

JOIN_SECONDS = 2.0


class SegmenterStats(msgspec.Struct, frozen=True):
    """Counts since the start. `errors` are rounds, or sources in a round, in which sound was lost to an exception."""

    rounds: int
    errors: int
    sources: tuple[SourceStats, ...]


class Segmenter:
    """One thread for all sources: it wakes when a source has sound, and passes messages to `deliver`.

    Entering the context starts the thread. Leaving it ends the thread, which finishes its round first: a round is
    bounded by what the intakes hold. Without the thread, the caller may run the rounds itself with round().

    Sources and classifiers may be added, changed and removed, and sound read, before the thread starts and while it
    runs, from any thread. These requests wait in an inbox that the thread empties at the start of a round. `deliver` is
    called on the thread with a list that belongs to the receiver. `silero` makes the speech model when the first speech
    gate is wanted.
    """

    def __init__(
        self,
        deliver: Callable[[list[Message]], None],
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        silero: Callable[[], Silero] = Silero,
    ) -> None:
        self._deliver = deliver
        self._clock = clock
        self._make_silero = silero
        self._silero: Silero | None = None
        self._inbox = Inbox()
        self._sources: dict[str, SharedSource] = {}  # as the callers see them; changed under the lock
        self._rounds = Rounds(clock)  # used by one thread at a time
        self._lock = threading.Lock()  # of those who add, change and remove: never taken by a round or to wake one
        self._closing = False
        self._ended = False  # whether the thread has ended and left the streams to who closed it
        self._metering = False
        self._thread = threading.Thread(target=self._run, name="segmenter", daemon=True)
        self._count = 0  # of rounds

    def add_source(
        self, name: str, inputs: Sequence[ClassifierInput], seconds: float, *, live: bool, rates: tuple[int, ...]
    ) -> Intake:
        """Add a source, and return the intake into which it delivers. `seconds` of its sound are kept.

        The first speech gate loads the speech model here, on the caller's thread. Raises SourceError if there is a
        source of that name, and EarmarkError after the end.
        """
        with self._lock:
            if self._closing:
                raise EarmarkError(f'the source "{name}" cannot be added: the segmenter is closed')
            if name in self._sources:
                raise SourceError(f'there is a source "{name}" already')
            silero = self._silero_for(inputs)
            source = self._sources[name] = SharedSource(name, self._inbox, live=live, rates=rates, clock=self._clock)
            self._inbox.post(AddSource(source, inputs, seconds, silero))
            return source.intake

    def remove_source(self, name: str, reason: OffReason = "reload", detail: str = "it was removed") -> None:
        """Remove a source, whose intake refuses sound from now on. Raises SourceError if there is none of that name.

        The sound that it has delivered is still judged. Then its labels go off for `reason`, and its last message is
        SourceEnded, unless it had ended before. `detail` is why its state becomes `stopped`; if it is empty, the
        caller tells the state.
        """
        with self._lock:
            source = self._source(name)
            del self._sources[name]
            source.intake.close()
            self._inbox.post(RemoveSource(source, reason, detail))

    def change_classifier(self, source: str, chosen: ClassifierInput, *, seconds: float = 0.0) -> None:
        """Put a classifier in the place of the one of the same name at a source, or add it. The sound is kept.

        If the old one's gate is open, its labels go off for "reload". ClassifierChanged follows its last message.
        At least `seconds` of sound are kept from now on. Raises SourceError if there is no such source.
        """
        with self._lock:
            silero = self._silero_for([chosen])
            self._inbox.post(ChangeClassifier(self._source(source), chosen, seconds, silero))

    def tune_classifier(self, source: str, chosen: ClassifierInput, *, seconds: float = 0.0) -> None:
        """Give a classifier at a source other numbers for its gate and windows; gate, model and mode are the same.

        A gate that is open stays open, and the window that has begun goes on. Raises SourceError if there is no such
        source.
        """
        with self._lock:
            self._inbox.post(TuneClassifier(self._source(source), chosen, seconds))

    def remove_classifier(self, source: str, classifier: str) -> None:
        """Take a classifier away from a source. If its gate is open, its labels go off for "reload".

        Raises SourceError if there is no such source.
        """
        with self._lock:
            self._inbox.post(RemoveClassifier(self._source(source), classifier))

    def read(self, source: str, rate: int, start: int, end: int) -> Future[Samples]:
        """Read the samples [start, end) of a source, positions at `rate`, which must be the rate of a classifier.

        The future fails with a SourceError, a sentence, if there is no such source or rate, or if the sound is not kept
        any more or has not come yet; and with an EarmarkError if the segmenter is closed first. Its callbacks are
        called on the segmenter thread.
        """
        if not 0 <= start <= end:
            raise ValueError(f"[{start}, {end}) is no range of positions")
        future: Future[Samples] = Future()
        found = self._sources.get(source)
        if found is None:
            future.set_exception(SourceError(f'there is no source "{source}"'))
        else:
            self._inbox.post(Read(found, rate, start, end, future))
        return future

    def capture(self, source: str, rate: int, start: int, end: int) -> Future[Excerpt]:
        """Read the samples [start, end) of a source when all of them have come, positions as for read().

        If the sound breaks or ends before, or the thread has ended, the future has what there is until then; what is
        not kept any more is left out at the beginning. It fails with a SourceError if nothing is left or there is no
        such source or rate. It may be cancelled. On the event loop; callbacks are called on the segmenter thread.
        """
        future: Future[Excerpt] = Future()
        found = self._sources.get(source)
        if found is None:
            future.set_exception(SourceError(f'there is no source "{source}"'))
            return future
        request = Capture(found, rate, max(0, start), end, future)
        if self._ended:
            self._rounds.capture(request)
            self._rounds.give_captures()
        else:
            self._inbox.post(request)
        return future

    def settle(self) -> Future[None]:
        """Return a future that is done once all requests until now were carried out and their messages delivered.

        It fails with an EarmarkError if the segmenter is closed first.
        """
        future: Future[None] = Future()
        self._inbox.post(Settle(future))
        return future

    def answered(self, source: str) -> None:
        """Note that a window of this source was answered or dropped. On the event loop, which alone calls this."""
        found = self._sources.get(source)
        if found is not None:  # else it was removed meanwhile
            found.answered()

    def meter(self, on: bool) -> None:
        """Deliver the levels of all sources from the next round on, or stop doing so. On any thread."""
        self._metering = on

    def stats(self) -> SegmenterStats:
        """Return the counts. On any thread."""
        sources = list(self._sources.values())  # without the lock: add_source() may hold it while it loads the model
        return SegmenterStats(self._count, self._rounds.errors, tuple(source.stats() for source in sources))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._closing = True
        self._inbox.wake()
        self._thread.join(JOIN_SECONDS)  # it is a daemon thread: a round that hangs must not keep the process alive
        if not self._thread.is_alive():
            self._ended = True
            self._give_captures()
        self._inbox.close()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    def round(self) -> None:
        """Do what the requests say, take the sound of the sources that have some, judge it, and deliver the messages.

        On the thread, or by a caller that has not started it.
        """
        self._count += 1
        ready, requests = self._inbox.take()
        try:
            messages = self._rounds.obey(each for each in requests if not isinstance(each, Settle))
            messages += self._rounds.listen(ready, metering=self._metering)
            if messages:
                self._deliver(messages)
        finally:
            for request in requests:
                if isinstance(request, Settle) and request.future.set_running_or_notify_cancel():
                    request.future.set_result(None)

    def _run(self) -> None:
        # The thread ends because __exit__() sets _closing before it wakes the thread, and a round does not wait.
        while not self._closing:
            self._inbox.wait()
            try:
                self.round()
            except Exception:
                self._rounds.failed("the messages of a round were lost to an error")

    def _give_captures(self) -> None:
        """Answer all that wait for sound, also those whose request the thread has not seen."""
        _, requests = self._inbox.take()
        for request in requests:
            if isinstance(request, Capture):
                self._rounds.capture(request)
            else:
                self._inbox.post(request)  # close() refuses it
        self._rounds.give_captures()

    def _silero_for(self, inputs: Sequence[ClassifierInput]) -> Silero | None:
        if self._silero is None and any(chosen.gate == "speech" for chosen in inputs):
            self._silero = self._make_silero()
        return self._silero

    def _source(self, name: str) -> SharedSource:
        if name not in self._sources:
            raise SourceError(f'there is no source "{name}"')
        return self._sources[name]
