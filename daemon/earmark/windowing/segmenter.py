"""The listening thread: one for all sources."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from types import TracebackType
from typing import Self

from earmark.audio.types import Nanoseconds
from earmark.capture.intake import Intake
from earmark.windowing.gates import SpeechGate, step_all
from earmark.windowing.messages import Message
from earmark.windowing.silero import Silero
from earmark.windowing.stream import ClassifierInput, SourceStream

log = logging.getLogger(__name__)

JOIN_SECONDS = 2.0
ENOUGH = 64  # windows on their way from a source that can wait


class Segmenter:
    """Wakes when a source has something, takes it, and tells `deliver` what came of it.

    Ears are added before the thread starts. `deliver` is called on the listening thread with a list that is the
    receiver's from then on. Leaving the context ends the thread: it finishes its round, which is bounded by what
    the intakes hold. `rounds` counts rounds, for a watchdog.
    """

    def __init__(
        self, deliver: Callable[[list[Message]], None], *, clock: Callable[[], Nanoseconds] = time.monotonic_ns
    ) -> None:
        self._deliver = deliver
        self._clock = clock
        self._news: list[Message] = []
        self._ears: dict[str, SourceStream] = {}
        self._ready: deque[SourceStream] = deque()
        self._signal = threading.Event()
        self._closing = False
        self._silero: Silero | None = None
        self._owners: dict[SpeechGate, SourceStream] = {}
        self._thread = threading.Thread(target=self._run, name="listening", daemon=True)
        self.rounds = 0

    def add(
        self, name: str, hearings: Sequence[ClassifierInput], seconds: float, *, live: bool, rates: tuple[int, ...]
    ) -> Intake:
        """An ear for one more source; the Intake is for the source to deliver into."""
        if self._silero is None and any(hearing.gate == "speech" for hearing in hearings):
            self._silero = Silero()
        intake = Intake(name, partial(self.wake, name), live=live, rates=rates, clock=self._clock)
        ear = SourceStream(intake, hearings, seconds, self._silero, self._news)
        self._ears[name] = ear
        self._owners.update((gate, ear) for gate in ear.speech_gates)
        return intake

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._closing = True
        self._signal.set()
        self._thread.join(JOIN_SECONDS)  # a daemon thread: a stuck round must not keep the process

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def wake(self, name: str) -> None:
        """Something is in this source's intake. From any thread, real-time safe."""
        ear = self._ears[name]
        if not ear.waiting:
            ear.waiting = True
            self._ready.append(ear)
            if not self._signal.is_set():
                self._signal.set()

    def answered(self, name: str) -> None:
        """A window of this source was answered or dropped. On the event loop, which alone calls this."""
        ear = self._ears[name]
        ear.returned += 1
        if not ear.intake.live and ear.outstanding < ENOUGH:
            self.wake(name)

    def _run(self) -> None:
        while not self._closing:
            self._signal.wait()
            self._signal.clear()
            try:
                self._round()
            except Exception:
                # one source's trouble must not end listening for the others; the round's sound is lost
                log.exception("a round of listening failed")

    def _round(self) -> None:
        self.rounds += 1
        ears = []
        for _ in range(len(self._ready)):
            ear = self._ready.popleft()
            ear.waiting = False  # before draining: what comes from now on wakes again
            if (ear.intake.live or ear.outstanding < ENOUGH) and ear.has_enough():
                ears.append(ear)
        for ear in ears:
            try:
                ear.listen()
            except Exception:
                log.exception("%s: some of its sound was lost to an error", ear.name)
                self.wake(ear.name)  # what came after it is still in the intake, and a feeder may wait for room
        if self._silero is not None:
            gates = [gate for ear in ears for gate in ear.speech_gates]
            for gate, what, end in step_all(gates, self._silero):
                self._owners[gate].turned(gate, what, end)
        for ear in ears:
            ear.advance()
        if self._news:
            news = self._news.copy()
            self._news.clear()
            self._deliver(news)
