"""The microphone against a PortAudio that does as it is told; the real one is in tests/integration."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Block
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Item, Overflowed, Started
from earmark.capture.microphone import CLOSE_SECONDS, Microphone
from earmark.capture.portaudio import Callback, Input, PortAudio, Stream
from earmark.config import settings as config
from earmark.errors import SourceError

DEADLINE = 10.0
FINE = SimpleNamespace(input_overflow=False)
OVERFLOWED = SimpleNamespace(input_overflow=True)
MIC = Input(index=0, name="Mic", host="ALSA", channels=2, rate=48000, is_default=True)


class FakeStream:
    """An open device; the test calls deliver() and unplug() where PortAudio would."""

    def __init__(self, rate: int, callback: Callback, finished: Callable[[], None]) -> None:
        self.rate = rate
        self.active = True
        self._callback = callback
        self._finished = finished

    def deliver(self, frames: np.ndarray, status: SimpleNamespace = FINE) -> None:
        self._callback(frames.astype(np.float32), len(frames), None, status)

    def unplug(self) -> None:
        self.active = False
        self._finished()


class FakePortAudio(PortAudio):
    """Opens at the rates it is given; `streams` has what was opened, `hangs` makes close() wait for let_go."""

    def __init__(self, *rates: int) -> None:
        super().__init__()
        self.rates = rates
        self.streams: queue.Queue[FakeStream] = queue.Queue()
        self.hangs = False
        self.abandoned = False
        self.let_go = threading.Event()
        self.closed = threading.Event()

    def inputs(self) -> list[Input]:
        return [MIC]

    def open(
        self, device: Input, *, rate: int, channels: int, callback: Callback, finished: Callable[[], None]
    ) -> Stream:
        if rate not in self.rates:
            raise SourceError(f"{device.name!r} does not open at {rate} Hz: Invalid sample rate")
        stream = FakeStream(rate, callback, finished)
        self.streams.put(stream)
        return stream

    def close(self, stream: Stream) -> None:
        if self.hangs:
            self.let_go.wait(DEADLINE)
        self.closed.set()

    def abandon(self) -> None:
        self.abandoned = True


class Bench:
    """A microphone, its fake library, and a listener that waits for what it says."""

    def __init__(
        self,
        library: FakePortAudio,
        rate: int | None = None,
        channels: int = 1,
        close_seconds: float = CLOSE_SECONDS,
    ) -> None:
        self.library = library
        self._woken = threading.Event()
        self.intake = Intake("test", self._woken.set)
        settings = config.Microphone(name="test", rate=rate, channels=channels)
        self.microphone = Microphone(settings, self.intake, portaudio=library, close_seconds=close_seconds)
        self.microphone.start()

    def stream(self) -> FakeStream:
        return self.library.streams.get(timeout=DEADLINE)

    def next(self) -> list[Item]:
        """What it says next."""
        while True:
            self._woken.clear()
            if items := self.intake.drain():
                return items
            assert self._woken.wait(DEADLINE)


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(library: FakePortAudio, **settings: Any) -> Bench:
        benches.append(Bench(library, **settings))
        return benches[-1]

    yield make
    for made in benches:
        made.library.let_go.set()
        made.microphone.close()


def ones(count: int, channels: int = 1) -> np.ndarray:
    return np.ones((count, channels))


def test_the_classifiers_rate_is_asked_for_first(bench: Callable[..., Bench]) -> None:
    assert bench(FakePortAudio(16000, 48000)).stream().rate == 16000


def test_a_device_that_refuses_it_is_opened_at_its_own_rate(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(48000))
    made.stream().deliver(ones(960))
    assert made.next()[0] == Started("Mic", 48000)


def test_a_configured_rate_is_the_only_one_tried(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000, 48000), rate=44100)
    [failed] = made.next()
    assert isinstance(failed, Failed)
    assert failed.state == "starting"
    assert "'Mic' does not open at 44100 Hz: Invalid sample rate" in failed.detail


def test_a_device_has_started_only_when_frames_arrive(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000))
    stream = made.stream()
    assert made.intake.drain() == []
    stream.deliver(ones(320))
    started, block = made.next()
    assert started == Started("Mic", 16000)
    assert isinstance(block, Block)
    assert len(block.samples) == 320


def test_channels_are_averaged(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000), channels=2)
    made.stream().deliver(np.array([[0.5, 0.25], [-1.0, 1.0]]))
    _, block = made.next()
    assert isinstance(block, Block)
    assert block.samples.tolist() == [0.375, 0.0]


def test_the_callback_keeps_a_copy(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000))
    frames = ones(320).astype(np.float32)
    made.stream()._callback(frames, 320, None, FINE)
    _, block = made.next()
    assert isinstance(block, Block)
    frames[:] = 7.0
    assert block.samples.max() == 1.0


def test_an_overflow_is_told_before_the_block_that_follows_it(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000))
    stream = made.stream()
    stream.deliver(ones(320))
    made.next()
    stream.deliver(ones(320), OVERFLOWED)
    overflowed, block = made.next()
    assert overflowed == Overflowed(320)
    assert isinstance(block, Block)


def test_unplugged_is_lost_at_once_and_opened_again(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000))
    first = made.stream()
    first.deliver(ones(320))
    made.next()
    first.unplug()
    [lost] = made.next()
    assert isinstance(lost, Failed)
    assert (lost.state, "'Mic' went away" in lost.detail) == ("lost", True)
    second = made.stream()
    first.deliver(ones(320))  # a straggler of the stream that was given up
    assert made.intake.drain() == []
    second.deliver(ones(320))
    assert made.next()[0] == Started("Mic", 16000)


def test_a_device_that_does_not_let_go_is_left_behind(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    library = FakePortAudio(16000)
    library.hangs = True
    made = bench(library, close_seconds=0.01)
    made.stream().deliver(ones(320))
    made.microphone.close()  # how soon it returns by default is for the test with a real sound server to say
    assert not library.closed.is_set()
    assert library.abandoned
    assert "does not let go of Mic" in caplog.text


def test_a_device_that_lets_go_is_not_abandoned(bench: Callable[..., Bench]) -> None:
    library = FakePortAudio(16000)
    made = bench(library, close_seconds=DEADLINE)
    made.stream()
    made.microphone.close()
    assert library.closed.is_set()
    assert not library.abandoned


def test_nothing_is_delivered_after_close(bench: Callable[..., Bench]) -> None:
    made = bench(FakePortAudio(16000))
    stream = made.stream()
    made.microphone.close()
    made.microphone.close()
    stream.deliver(ones(320))
    assert made.intake.drain() == []


def test_closed_before_start_it_opens_nothing_and_refuses_sound() -> None:
    library, intake = FakePortAudio(16000), Intake("test", lambda: None)
    Microphone(config.Microphone(name="test"), intake, portaudio=library).close()
    assert intake.closed
    assert library.streams.empty()
    assert not library.abandoned
