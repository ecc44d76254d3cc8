"""The way of a window on the event loop: from the segmenter to the engine, and from its logits to events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Protocol

from earmark.audio.resampled import resample
from earmark.audio.types import SECOND, Floats, Nanoseconds, Window
from earmark.checkpoints.checkpoint import Scoring
from earmark.detection.detector import Detector
from earmark.detection.detectors import Detectors, Reserved
from earmark.detection.draft import Draft
from earmark.detection.outcomes import Look, Unscored
from earmark.errors import WorkerError
from earmark.inference.batch import Drop, Job, Outcome
from earmark.inference.long_clips import padded
from earmark.inference.scores import apply
from earmark.listening.loop import call_if_open
from earmark.windowing.messages import Message, SourceLevel

log = logging.getLogger(__name__)


class Jobs(Protocol):
    """Where windows are submitted: the dispatcher, or what stands before it."""

    def submit(self, job: Job) -> None:
        """Queue a job."""

    async def drain(self) -> None:
        """Wait until no job is pending."""


class Live:
    """Takes messages from the segmenter and gives drafts to `publish`, in the order in which they are to be published.

    Everything but deliver() runs on the event loop. `functions` has for each model how its logits become scores, which
    holds for windows that are submitted from then on; the caller may change it. `answered` is called with the name of a
    window's source once the window was scored or given up, so that a recording that is read faster than it sounds waits
    for the engine; where others wait behind a second look, once that was answered too. `level` is called with each
    level of a source. The caller owns the segmenter and the dispatcher, and calls wind_up() when the segmenter has
    ended and the dispatcher has not.
    """

    def __init__(
        self,
        detectors: Detectors,
        dispatcher: Jobs,
        functions: Mapping[str, Scoring],
        publish: Callable[[Sequence[Draft]], None],
        *,
        answered: Callable[[str], None] = lambda source: None,
        level: Callable[[SourceLevel], None] = lambda level: None,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
    ) -> None:
        self._detectors = detectors
        self._dispatcher = dispatcher
        self._functions = functions
        self._publish = publish
        self._answered = answered
        self._level = level
        self._clock = clock
        self._owed: Counter[Detector] = Counter()  # windows that were scored and wait behind a second look
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._ended = False
        self._timer: asyncio.TimerHandle | None = None  # for the next `off` that is held

    @property
    def looks(self) -> bool:
        """Whether windows that were scored wait behind a second look."""
        return bool(self._owed)

    @property
    def done(self) -> bool:
        """Whether every source has ended and every window was scored or given up."""
        return self._detectors.done

    async def until_done(self) -> None:
        """Wait until done."""
        while not self.done:
            self._changed.clear()
            await self._changed.wait()

    async def until_retired(self, seconds: float) -> None:
        """Wait until the windows of what was removed are scored or given up, `seconds` at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._detectors.retiring:
                    self._changed.clear()
                    await self._changed.wait()

    def deliver(self, messages: Sequence[Message]) -> None:
        """Have `messages` received on the event loop. On any thread; not after the loop was closed."""
        call_if_open(self._loop, self.receive, messages)

    def receive(self, messages: Sequence[Message]) -> None:
        """Submit the windows to the engine, and publish what the other messages mean.

        An error with one message is logged and affects no other: among them may be that a source has ended.
        """
        for message in messages:
            try:
                if isinstance(message, Window):
                    self._submit(message)
                elif isinstance(message, SourceLevel):
                    self._level(message)
                else:
                    self._publish(self._detectors.receive(message, self._clock()))
            except Exception:
                log.exception("%s: a %s was lost to an error", message.source, type(message).__name__)
        self._watch()
        self._changed.set()

    async def wind_up(self, seconds: float) -> None:
        """Wait `seconds` at most for windows that are on their way, then publish that all labels go off.

        Windows that are still unscored then are lost, and outcomes that come later are ignored.
        """
        await asyncio.sleep(0)  # what deliver() was last called with
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._dispatcher.drain()
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
        self._publish(self._detectors.end("shutdown", self._clock()))

    def _submit(self, window: Window) -> None:
        scoring = self._functions[window.model]
        reply = partial(self._settle, window, self._detectors.reserve(window), scoring)
        self._dispatcher.submit(Job(window.model, window.samples, window.live, window.captured, reply))

    def _settle(self, window: Window, reserved: Reserved, scoring: Scoring, outcome: Outcome) -> None:
        """Publish what follows from a window's outcome."""
        if self._ended:
            return
        try:
            self._take(reserved, self._scores(window.model, scoring, outcome))
        finally:
            self._owed[reserved.detector] += 1
            self._pay(reserved.detector)

    def _pay(self, detector: Detector) -> None:
        """Say that the windows of a detector were answered, unless they wait behind a second look."""
        if not detector.looks:
            for _ in range(self._owed.pop(detector, 0)):
                self._answered(detector.source)
        self._changed.set()

    def _take(self, reserved: Reserved, scores: Floats | Unscored) -> None:
        """Publish what follows from scores, and have another model look at what is doubtful."""
        try:
            self._publish(self._detectors.answered(reserved, scores, self._clock()))
            self._watch()
        finally:
            if (doubtful := self._detectors.look(reserved)) is not None:
                self._look(*doubtful)

    def _look(self, reserved: Reserved, look: Look) -> None:
        """Submit a window to the model that looks a second time."""
        window, model = look.window, look.model
        samples = padded(resample(window.samples, window.rate, model.rate), model.minimum)
        reply = partial(self._settle_second, reserved, model.name, self._functions[model.name])
        self._dispatcher.submit(Job(model.name, samples, window.live, window.captured, reply, second=True))

    def _settle_second(self, reserved: Reserved, model: str, scoring: Scoring, outcome: Outcome) -> None:
        if self._ended:
            return
        try:
            self._take(reserved, self._scores(model, scoring, outcome))
        finally:
            self._pay(reserved.detector)

    def _watch(self) -> None:
        """Set the timer to the next `off` that is held."""
        due = self._detectors.next_due()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if due is not None:
            self._timer = self._loop.call_later(max(0, due - self._clock()) / SECOND, self._send_due)

    def _send_due(self) -> None:
        self._publish(self._detectors.due(self._clock()))
        self._watch()

    def _scores(self, model: str, scoring: Scoring, outcome: Outcome) -> Floats | Unscored:
        if isinstance(outcome, Drop):
            return Unscored(outcome.cause)
        try:
            return apply(scoring, outcome, model)
        except WorkerError as error:
            log.error("%s", error)
            return Unscored("worker")
