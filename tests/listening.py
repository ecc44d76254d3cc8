"""Drive the segmenter in tests, with its thread or round by round: sound in, messages out."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples, Window
from earmark.capture.intake import Intake
from earmark.config.settings import Vad
from earmark.gating.silero import CONTEXT, Silero
from earmark.windowing.classifier_stream import ClassifierInput, GateKind
from earmark.windowing.messages import Message, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.windows import Lengths, SlidingWindows, UtteranceWindows, Windowing

RATE = 16000
LENGTHS = Lengths(window=RATE, limit=RATE, hop=RATE // 2, pre_roll=int(0.3 * RATE), grid=RATE // 4)


def classifier_input(
    gate: GateKind = "speech",
    windowing: Callable[[Lengths], Windowing] = UtteranceWindows,
    rate: int = RATE,
    vad: Vad | None = None,
    name: str = "test",
) -> ClassifierInput:
    """A classifier with windows of one second."""
    lengths = Lengths(
        LENGTHS.window * rate // RATE,
        LENGTHS.limit * rate // RATE,
        LENGTHS.hop * rate // RATE,
        LENGTHS.pre_roll * rate // RATE,
        LENGTHS.grid * rate // RATE,
    )
    return ClassifierInput(name, "test/model", rate, gate, vad or Vad(hangover_ms=128), windowing(lengths))


def always(name: str = "test", rate: int = RATE) -> ClassifierInput:
    """A classifier that gets everything, in windows of one second every half second."""
    return classifier_input("open", SlidingWindows, rate, name=name)


def listen(
    play: Callable[[Intake], None],
    inputs: Sequence[ClassifierInput] | None = None,
    *,
    live: bool = False,
    clock: Callable[[], int] = time.monotonic_ns,
) -> list[Message]:
    """Return all messages of one source that `play` feeds and ends; windows count as answered at once."""
    inbox: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()

    def deliver(messages: list[Message]) -> None:
        for window in windows(messages):
            segmenter.answered(window.source)
        inbox.put(messages)

    segmenter = Segmenter(deliver, clock=clock)
    intake = segmenter.add_source("desk", inputs or [classifier_input()], 20.0, live=live, rates=(RATE,))
    told: list[Message] = []
    with segmenter:
        play(intake)
        while not any(isinstance(item, SourceEnded) for item in told):
            told += inbox.get(timeout=60)
    return told


def recording(samples: Samples, rate: int = RATE, block: int = 320) -> Callable[[Intake], None]:
    """A source that plays `samples` in blocks and ends."""

    def play(intake: Intake) -> None:
        intake.begin("a recording", rate)
        for start in range(0, len(samples), block):
            intake.put(samples[start : start + block])
        intake.end()

    return play


def windows(messages: Sequence[Message], classifier: str | None = None) -> list[Window]:
    """The windows among the messages, all of them or those of one classifier."""
    found = [item for item in messages if isinstance(item, Window)]
    return [window for window in found if classifier in (None, window.classifier)]


class LoudIsSpeech(Silero):
    """Takes every step above a tenth of full scale for speech. `taken` are the slots that were not given back."""

    def __init__(self) -> None:
        self.taken: set[int] = set()

    def join(self) -> int:
        slot = next(number for number in range(len(self.taken) + 1) if number not in self.taken)
        self.taken.add(slot)
        return slot

    def fork(self, slot: int) -> int:
        assert slot in self.taken
        return self.join()

    def leave(self, slot: int) -> None:
        self.taken.remove(slot)

    def forget(self, slot: int) -> None:
        assert slot in self.taken

    def probabilities(self, slots: Sequence[int], frames: Sequence[Samples]) -> npt.NDArray[np.float32]:
        assert len(set(slots)) == len(slots), "a stream is in one batch twice"
        return np.array([0.9 if np.abs(frame[CONTEXT:]).max() > 0.1 else 0.05 for frame in frames], np.float32)


class ByHand:
    """A segmenter without its thread: the test runs each round, at a time that stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1_000_000_000  # nanoseconds
        self.silero = LoudIsSpeech()
        self.segmenter = Segmenter(self._deliver, clock=lambda: self.now, silero=lambda: self.silero)
        self.delivered: list[Message] = []  # in the present round or the last one

    def add(
        self, name: str, *inputs: ClassifierInput, live: bool = True, rate: int = RATE, seconds: float = 20.0
    ) -> Intake:
        """Add a source that has begun to deliver."""
        intake = self.segmenter.add_source(name, inputs, seconds, live=live, rates=(rate,))
        intake.begin("a device", rate)
        return intake

    def round(self) -> list[Message]:
        """Run a round, and return the messages that came of it."""
        self.delivered.clear()
        self.segmenter.round()
        return self.delivered.copy()

    def _deliver(self, messages: list[Message]) -> None:
        self.delivered += messages
