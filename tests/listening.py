"""Drive the listening thread in tests: sound in, news out."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Sequence

from earmark.audio.types import Samples, Window
from earmark.capture.intake import Intake
from earmark.config.settings import Vad
from earmark.windowing.messages import Message, SourceEnded
from earmark.windowing.segmenter import Segmenter
from earmark.windowing.stream import ClassifierInput, GateKind
from earmark.windowing.windows import Lengths, UtteranceWindows, Windowing

RATE = 16000
LENGTHS = Lengths(window=RATE, limit=RATE, hop=RATE // 2, pre_roll=int(0.3 * RATE), grid=RATE // 4)


def hearing(
    gate: GateKind = "speech",
    cutter: Callable[[Lengths], Windowing] = UtteranceWindows,
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
    return ClassifierInput("test", "test/model", rate, gate, vad or Vad(), cutter(lengths))


def listen(
    play: Callable[[Intake], None],
    hearings: Sequence[ClassifierInput] | None = None,
    *,
    live: bool = False,
    clock: Callable[[], int] = time.monotonic_ns,
) -> list[Message]:
    """All news of one source that `play` feeds and ends; windows count as answered at once."""
    inbox: queue.SimpleQueue[list[Message]] = queue.SimpleQueue()

    def deliver(news: list[Message]) -> None:
        for window in windows(news):
            listener.answered(window.source)
        inbox.put(news)

    listener = Segmenter(deliver, clock=clock)
    intake = listener.add("desk", hearings or [hearing()], 20.0, live=live, rates=(RATE,))
    told: list[Message] = []
    with listener:
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


def windows(news: Sequence[Message]) -> list[Window]:
    return [item for item in news if isinstance(item, Window)]
