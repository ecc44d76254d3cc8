"""Record examples from a microphone: they are asked for one by one, and cut by the gate that will hear them later."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile

from earmark.audio.level import decibels
from earmark.audio.types import Samples, Window
from earmark.capture import build
from earmark.capture.base import Source
from earmark.capture.intake import Intake
from earmark.config import sources as config
from earmark.config.labels import BACKGROUND
from earmark.errors import SourceError
from earmark.learning.examples import Example, fault
from earmark.learning.find import EXAMPLE_VAD
from earmark.windowing.classifier_stream import ClassifierInput, GateKind
from earmark.windowing.messages import Message, SourceChanged, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows

BACKGROUND_SECONDS = 5
DELIVERY_SECONDS = 15.0  # how long the microphone may take to deliver
SILENCE_SECONDS = 60.0  # how long the user may take to say something
CONTEXT_SECONDS = 1.0  # kept before an example; a window has at least as much after the example's beginning
MAX_SECONDS = 4.0  # of an example that are kept
RING_SECONDS = 20.0
LEVELS_PER_SECOND = 4
REMIND_SECONDS = 10  # of waiting for an example, after which the user is told what is heard
METER_DB, METER_CELLS = -60.0, 20  # level at which the meter is empty, and its length
TICK = "\N{CHECK MARK}"

Tell = Callable[[str], None]
Heed = Callable[[float], None]
"""Called with the level in dB of each quarter of a second that is heard meanwhile."""


def _ignore(_: object) -> None:
    pass


class Recorder:
    """A microphone and the segmenter thread, as a context manager; leaving it closes both.

    `make` builds the source around its intake. `rate` is the model's in Hz, `window` its window in samples. Used on one
    thread.
    """

    def __init__(
        self, gate: GateKind, rate: int, window: int, make: Callable[[Intake], Source], *, live: bool = True
    ) -> None:
        self._rate, self._window = rate, window
        self._messages: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()
        self._segmenter = Segmenter(self._deliver)
        context = int(CONTEXT_SECONDS * rate)
        example = Lengths(2 * context, int(MAX_SECONDS * rate), rate, context, rate // 4)
        quarter = rate // LEVELS_PER_SECOND
        piece = Lengths(quarter, quarter, quarter, 0, quarter)
        inputs = [
            ClassifierInput("examples", "", rate, gate, EXAMPLE_VAD, UtteranceWindows(example)),
            ClassifierInput("background", "", rate, "open", EXAMPLE_VAD, SlidingWindows(piece)),
        ]
        self._source = make(self._segmenter.add_source("microphone", inputs, RING_SECONDS, live=live, rates=(rate,)))
        self._waiting: list[Message] = []
        self._running = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.enter_context(self._segmenter)
            stack.callback(self._source.close)
            self._source.start()
            self._running = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running.close()

    def background(self, heed: Heed = _ignore) -> Samples:
        """Return the next BACKGROUND_SECONDS of sound. Raises SourceError if none comes."""
        reason = "the microphone delivers nothing"
        count = BACKGROUND_SECONDS * LEVELS_PER_SECOND
        return np.concatenate([self._next("background", DELIVERY_SECONDS, reason, heed).samples for _ in range(count)])

    def example(self, heed: Heed = _ignore) -> Example:
        """Return the next example that the gate finds. Raises SourceError if none comes."""
        reason = f"nothing was heard for {SILENCE_SECONDS:.0f} s; is it the right microphone?"
        window = self._next("examples", SILENCE_SECONDS, reason, heed)
        begin, end = (at - window.span.start for at in (window.span.speech_start, window.span.speech_end))
        return Example(window.samples, begin, end, "this one")

    def fault(self, example: Example) -> str:
        """Return why the example cannot be learnt from, or an empty string."""
        return fault(example, self._window, self._rate)

    def discard(self) -> None:
        """Forget all that was heard until now, but not that the source has ended."""
        self._waiting = [message for message in self._waiting if isinstance(message, SourceEnded)]
        while not self._messages.empty():
            self._waiting += [message for message in self._messages.get() if isinstance(message, SourceEnded)]

    def _next(self, classifier: str, timeout: float, reason: str, heed: Heed) -> Window:
        """Return the next window of `classifier`. Raises SourceError with the reason after `timeout` seconds."""
        deadline = time.monotonic() + timeout
        detail = ""
        while True:
            while self._waiting:
                message = self._waiting.pop(0)
                if isinstance(message, Window) and message.classifier == "background":
                    heed(decibels(message.samples))
                match message:
                    case Window() as window if window.classifier == classifier:
                        return window
                    case SourceEnded(_, error):
                        raise SourceError(error or "the recording has ended")
                    case SourceChanged(_, change) if change.state in ("starting", "lost", "stalled", "muted"):
                        detail = f": {change.detail or change.state}"
            try:
                self._waiting = self._messages.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise SourceError(reason + detail) from None

    def _deliver(self, messages: list[Message]) -> None:
        """Take the segmenter's messages. Called on its thread."""
        for message in messages:
            if isinstance(message, Window):
                self._segmenter.answered(message.source)
        self._messages.put(messages)


def microphone(device: str) -> Callable[[Intake], Source]:
    """Return a function that builds a Recorder's source: the microphone of that name."""
    return lambda intake: build(config.Microphone("microphone", device), intake)


def record(
    recorder: Recorder, labels: Sequence[str], count: int, folder: Path, rate: int, tell: Tell, show: Tell = _ignore
) -> None:
    """Ask for examples until each label has `count` of them, and keep a recording of the background.

    They are kept in a folder for each label within `folder`, the background in `_background_`. Examples that are there
    already count. `show` is called several times a second with what is heard just now. Raises SourceError.
    """
    tell(f"be quiet for {BACKGROUND_SECONDS} seconds: the room is heard first")
    room = recorder.background(lambda level: show(f"listening to the room {meter(level)}"))
    _keep(folder / BACKGROUND, room, rate)
    tell(f"{TICK} the room was heard, at {decibels(room):.0f} dB")
    for label in labels:
        while (have := len(list((folder / label).glob("*.wav")))) < count:
            recorder.discard()
            tell(f"say {label!r} ({have + 1} of {count})")
            example = recorder.example(_Waiting(label, tell, show))
            if problem := recorder.fault(example):
                tell(f"{problem}; once more")
            else:
                _keep(folder / label, trimmed(example, rate), rate)
                tell(f"{TICK} {label!r} ({have + 1} of {count}): {_described(example, rate)}")


class _Waiting:
    """Shows the level while an example is waited for, and says so in words every REMIND_SECONDS."""

    def __init__(self, label: str, tell: Tell, show: Tell) -> None:
        self._label, self._tell, self._show = label, tell, show
        self._levels: list[float] = []  # since the user was last told something

    def __call__(self, level: float) -> None:
        self._show(f"listening for {self._label!r} {meter(level)}")
        self._levels.append(level)
        if len(self._levels) == REMIND_SECONDS * LEVELS_PER_SECOND:
            loudest = max(self._levels)
            self._levels.clear()
            self._tell(
                f"still listening for {self._label!r}: the loudest in {REMIND_SECONDS} s was {loudest:.0f} dB, "
                "and no example was in it; speak louder, pause after the word, or choose a microphone with --device"
            )


def meter(level: float) -> str:
    """Return a level in dB as a bar and a number."""
    cells = round(min(max(1 - level / METER_DB, 0.0), 1.0) * METER_CELLS)
    return f"[{'#' * cells:-<{METER_CELLS}}] {level:.0f} dB"


def _described(example: Example, rate: int) -> str:
    sound = example.samples[example.begin : example.end]
    return f"{len(sound) / rate:.1f} s at {decibels(sound):.0f} dB"


def trimmed(example: Example, rate: int) -> Samples:
    """Return the example with the hangover before and after it, where the gate has heard nothing else."""
    margin = EXAMPLE_VAD.hangover_ms * rate // 1000
    return example.samples[max(0, example.begin - margin) : example.end + margin]


def _keep(folder: Path, samples: Samples, rate: int) -> None:
    """Write the samples under the next free number in the folder. Raises SourceError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        taken = {file.stem for file in folder.glob("*.wav")}
        name = next(f"{number:03}" for number in range(1, 10_000) if f"{number:03}" not in taken)
        soundfile.write(folder / f"{name}.wav", samples, rate, subtype="PCM_16")
    except (OSError, soundfile.LibsndfileError) as error:
        raise SourceError(f"{folder}: the recording cannot be kept there ({error})") from None
