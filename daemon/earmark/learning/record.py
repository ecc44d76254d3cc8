"""Examples from a microphone: asked for one by one, and cut by the gate that will hear them later."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from earmark.audio.types import Samples, Window
from earmark.capture import build
from earmark.capture.base import Source
from earmark.capture.intake import Intake
from earmark.config import settings as config
from earmark.config.labels import BACKGROUND
from earmark.errors import SourceError
from earmark.learning import find as takes
from earmark.learning.examples import Example, fault
from earmark.windowing.classifier_stream import ClassifierInput, GateKind
from earmark.windowing.messages import Message, SourceChanged, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows

ROOM_SECONDS = 5
PATIENCE = 15.0  # seconds for the microphone to deliver
WAIT = 60.0  # seconds for the user to say something
BEFORE = 1.0  # seconds kept before a take, and at least so many after its begin
LONGEST = 4.0  # seconds of a take that are kept

Tell = Callable[[str], None]


class Recorder:
    """A microphone and the listening thread, as a context manager; leaving it closes both.

    `make` builds the source around its intake. Used on one thread.
    """

    def __init__(
        self, gate: GateKind, rate: int, window: int, make: Callable[[Intake], Source], *, live: bool = True
    ) -> None:
        self._rate, self._window = rate, window
        self._news: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()
        self._listener = Segmenter(self._deliver)
        before = int(BEFORE * rate)
        kept = Lengths(2 * before, int(LONGEST * rate), rate, before, rate // 4)
        whole = Lengths(rate, rate, rate, 0, rate)
        hearings = [
            ClassifierInput("takes", "", rate, gate, takes.VAD, UtteranceWindows(kept)),
            ClassifierInput("room", "", rate, "open", takes.VAD, SlidingWindows(whole)),
        ]
        self._source = make(self._listener.add_source("microphone", hearings, 20.0, live=live, rates=(rate,)))
        self._waiting: list[Message] = []

    def __enter__(self) -> Self:
        self._listener.__enter__()
        self._source.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._source.close()
        self._listener.__exit__(kind, error, trace)

    def room(self) -> Samples:
        """The next ROOM_SECONDS of whatever is heard. Raises SourceError where nothing comes."""
        parts = [self._next("room", PATIENCE, "the microphone delivers nothing").samples for _ in range(ROOM_SECONDS)]
        return np.concatenate(parts)

    def take(self) -> Example:
        """The next thing that the gate hears. Raises SourceError where nothing comes."""
        window = self._next("takes", WAIT, f"nothing was heard for {WAIT:.0f} s; is it the right microphone?")
        begin, end = (at - window.span.start for at in (window.span.speech_start, window.span.speech_end))
        return Example(window.samples, begin, end, "this one")

    def fault(self, take: Example) -> str:
        """Why it is of no use, or nothing."""
        return fault(take, self._window, self._rate)

    def _next(self, hearing: str, seconds: float, otherwise: str) -> Window:
        deadline = time.monotonic() + seconds
        detail = ""
        while True:
            while self._waiting:
                match self._waiting.pop(0):
                    case Window() as window if window.classifier == hearing:
                        return window
                    case SourceEnded(_, error):
                        raise SourceError(error or "the recording has ended")
                    case SourceChanged(_, change) if change.state in ("starting", "lost", "stalled", "muted"):
                        detail = f": {change.detail or change.state}"
            try:
                self._waiting = self._news.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise SourceError(otherwise + detail) from None

    def forget(self) -> None:
        """Whatever was heard until now."""
        self._waiting = [item for item in self._waiting if isinstance(item, SourceEnded)]
        while not self._news.empty():
            self._waiting += [item for item in self._news.get() if isinstance(item, SourceEnded)]

    def _deliver(self, news: list[Message]) -> None:
        for item in news:
            if isinstance(item, Window):
                self._listener.answered(item.source)
        self._news.put(news)


def microphone(device: str) -> Callable[[Intake], Source]:
    """A source for a Recorder: the microphone of that name."""
    return lambda intake: build(config.Microphone("microphone", device), intake)


def record(recorder: Recorder, labels: Sequence[str], count: int, folder: Path, rate: int, tell: Tell) -> None:
    """Ask for takes until each label has `count` in its folder within `folder`, and keep the room in `_background_`.

    What is there already counts. Raises SourceError.
    """
    tell(f"be quiet for {ROOM_SECONDS} seconds: the room is heard first")
    _keep(folder / BACKGROUND, recorder.room(), rate)
    for label in labels:
        while (have := len(list((folder / label).glob("*.wav")))) < count:
            recorder.forget()
            tell(f"say {label!r} ({have + 1} of {count})")
            take = recorder.take()
            if problem := recorder.fault(take):
                tell(f"{problem}; once more")
            else:
                _keep(folder / label, alone(take, rate), rate)


def alone(take: Example, rate: int) -> Samples:
    """The take with as much before and after as the gate knows to be free of others: its hangover."""
    margin = takes.VAD.hangover_ms * rate // 1000
    return take.samples[max(0, take.begin - margin) : take.end + margin]


def _keep(folder: Path, samples: Samples, rate: int) -> None:
    """As the next number in the folder. Raises SourceError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {file.stem for file in folder.glob("*.wav")}
        name = next(f"{number:03}" for number in range(1, 10_000) if f"{number:03}" not in taken)
        soundfile.write(folder / f"{name}.wav", samples, rate, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise SourceError(f"{folder}: the recording cannot be kept there ({error})") from None
