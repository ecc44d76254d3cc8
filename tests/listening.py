"""Drive the segmenter thread in tests: sound in, messages out."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from earmark.audio.types import Samples, Window
from earmark.capture.intake import Intake
from earmark.config.settings import Vad
from earmark.windowing.classifier_stream import ClassifierInput, GateKind
from earmark.windowing.messages import Message, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.windows import Lengths, UtteranceWindows, Windowing

RATE = 16000
LENGTHS = Lengths(window=RATE, limit=RATE, hop=RATE // 2, pre_roll=int(0.3 * RATE), grid=RATE // 4)


def classifier_input(
    gate: GateKind = "speech",
    windowing: Callable[[Lengths], Windowing] = UtteranceWindows,
    rate: int = RATE,
    vad: Vad | None = None,
) -> ClassifierInput:
    """A classifier with windows of one second."""
    lengths = Lengths(
        LENGTHS.window * rate // RATE,
        LENGTHS.limit * rate // RATE,
        LENGTHS.hop * rate // RATE,
        LENGTHS.pre_roll * rate // RATE,
        LENGTHS.grid * rate // RATE,
    )
    return ClassifierInput("test", "test/model", rate, gate, vad or Vad(hangover_ms=128), windowing(lengths))


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


def windows(messages: Sequence[Message]) -> list[Window]:
    return [item for item in messages if isinstance(item, Window)]
