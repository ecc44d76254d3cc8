"""The microphone against a process that does as it is told; the real one is in tests/integration."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import SECOND, Block
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Gap, Item, Overflowed, Started
from earmark.capture.microphone import CLOSE_SECONDS, Microphone
from earmark.config import sources as config
from earmark.devices.portaudio import DeviceGone, Frames, Input, ProcessGone
from earmark.devices.sound_server import ServerSource, SoundServer
from earmark.devices.suspension import Suspension
from earmark.errors import SourceError

DEADLINE = 10.0
MIC = Input(index=0, name="Mic", host="ALSA", channels=2, rate=48000, is_default=True)


class FakeProcess:
    """A process whose device opens at the rates of its `library`; the test calls deliver(), unplug() and crash()."""

    pid = 1

    def __init__(self, library: Library) -> None:
        self.rate = 0
        self.asked: Sequence[int] = ()
        self.source = ""
        self.closed = threading.Event()
        self._library = library
        self._channels = 1
        self._messages: queue.Queue[Frames | DeviceGone | Exception | None] = queue.Queue()

    def inputs(self) -> list[Input]:
        if self._library.gone:
            raise self._library.gone.pop()
        return self._library.inputs

    def open(self, device: Input, *, rates: Sequence[int], channels: int) -> int:
        self.asked, self.source = rates, device.source
        for rate in rates:
            if rate in self._library.rates:
                self.rate, self._channels = rate, channels
                self._library.opened.put(self)
                return rate
        raise SourceError(f"{device.name!r} does not open at {rates[0]} Hz: Invalid sample rate")

    def read(self, seconds: float) -> Frames | DeviceGone | None:
        message = self._messages.get(timeout=DEADLINE)
        if isinstance(message, Exception):
            raise message
        return message

    def kill(self) -> None:
        if not self._library.hangs:
            self._messages.put(ProcessGone("the sound library crashed (Killed)"))

    def close(self) -> bool:
        self.kill()
        self.closed.set()
        return not self._library.hangs

    def deliver(self, samples: np.ndarray, *, overflowed: bool = False, captured: int = SECOND) -> None:
        frames = samples.astype(np.float32).reshape(-1, self._channels)
        self._messages.put(Frames(frames, captured, overflowed))

    def unplug(self) -> None:
        self._messages.put(DeviceGone())

    def crash(self, error: Exception) -> None:
        self._messages.put(error)

    def be_silent(self, times: int) -> None:
        for _ in range(times):
            self._messages.put(None)


class Library:
    """What all processes share: `rates` at which the device opens, `opened` processes, `gone` at their first request.

    `hangs`: a process goes on though it was killed.
    """

    def __init__(self, *rates: int) -> None:
        self.rates = rates
        self.inputs = [MIC]
        self.started = 0
        self.opened: queue.Queue[FakeProcess] = queue.Queue()
        self.gone: list[Exception] = []
        self.hangs = False

    def start(self) -> FakeProcess:
        self.started += 1
        return FakeProcess(self)


class Server(SoundServer):
    """A sound server that records from `source`, and knows no process if that is None."""

    source: ServerSource | None = None
    all: Sequence[ServerSource] = ()

    def sources(self) -> list[ServerSource]:
        return list(self.all)

    def source_of(self, pid: int) -> ServerSource | None:
        return self.source

    def subscribe(self) -> None:
        return None


DESK = ServerSource("desk", "Desk Microphone", 1, 48000, is_monitor=False)
HALL = ServerSource("hall", "Hall Microphone", 1, 48000, is_monitor=False)


class Bench:
    """A microphone, its fake library, and a listener that waits for what it says."""

    def __init__(
        self,
        library: Library,
        close_seconds: float = CLOSE_SECONDS,
        source: ServerSource | None = None,
        **settings: Any,
    ) -> None:
        self.library = library
        self.server = Server()
        self.now = 0.0
        self.slept = 0.0  # seconds for which the machine was suspended
        self._woken = threading.Event()
        self.intake = Intake("test", self._woken.set)
        self.microphone = Microphone(
            config.Microphone(name="test", **settings),
            self.intake,
            start_process=library.start,
            server=self.server,
            suspension=Suspension(lambda: 0, lambda: round(self.slept * SECOND)),
            clock=lambda: self.now,
            close_seconds=close_seconds,
        )
        self.server.source = source
        self.server.all = (DESK, HALL)
        self.microphone.start()

    def process(self) -> FakeProcess:
        return self.library.opened.get(timeout=DEADLINE)

    def next(self) -> list[Item]:
        """What it says next."""
        while True:
            self._woken.clear()
            if items := self.intake.drain():
                return items
            assert self._woken.wait(DEADLINE)

    def failure(self) -> Failed:
        [failed] = self.next()
        assert isinstance(failed, Failed)
        return failed


@pytest.fixture
def bench() -> Iterator[Callable[..., Bench]]:
    benches: list[Bench] = []

    def make(library: Library, **settings: Any) -> Bench:
        benches.append(Bench(library, **settings))
        return benches[-1]

    yield make
    for made in benches:
        made.library.hangs = False
        made.microphone.close()


def ones(count: int, channels: int = 1) -> np.ndarray:
    return np.ones((count, channels))


def test_the_classifiers_rate_is_asked_for_first(bench: Callable[..., Bench]) -> None:
    process = bench(Library(16000, 48000)).process()
    assert (process.asked, process.rate) == ((16000, 48000), 16000)


def test_a_device_that_refuses_it_is_opened_at_its_own_rate(bench: Callable[..., Bench]) -> None:
    made = bench(Library(48000))
    made.process().deliver(ones(960))
    assert made.next()[0] == Started("Mic", 48000)


def test_a_configured_rate_is_the_only_one_tried(bench: Callable[..., Bench]) -> None:
    failed = bench(Library(16000, 48000), rate=44100).failure()
    assert failed.state == "starting"
    assert "'Mic' does not open at 44100 Hz: Invalid sample rate" in failed.detail


def test_a_device_has_started_only_when_frames_arrive(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    process = made.process()
    assert made.intake.drain() == []
    process.deliver(ones(320), captured=7 * SECOND)
    started, block = made.next()
    assert started == Started("Mic", 16000)
    assert isinstance(block, Block)
    assert (len(block.samples), block.captured) == (320, 7 * SECOND)


def test_channels_are_averaged(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000), channels=2)
    made.process().deliver(np.array([[0.5, 0.25], [-1.0, 1.0]]))
    _, block = made.next()
    assert isinstance(block, Block)
    assert block.samples.tolist() == [0.375, 0.0]


def test_one_channel_can_be_taken_and_as_many_are_opened_as_that_takes(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000), channel=2)
    made.process().deliver(np.array([[0.5, 0.25], [-1.0, 1.0]]))
    _, block = made.next()
    assert isinstance(block, Block)
    assert block.samples.tolist() == [0.25, 1.0]


def test_an_overflow_is_told_before_the_block_that_follows_it(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    process = made.process()
    process.deliver(ones(320))
    made.next()
    process.deliver(ones(320), overflowed=True)
    overflowed, block = made.next()
    assert overflowed == Overflowed(320)
    assert isinstance(block, Block)


def test_unplugged_is_lost_at_once_and_opened_again_in_another_process(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    first = made.process()
    first.deliver(ones(320))
    made.next()
    first.unplug()
    lost = made.failure()
    assert (lost.state, "'Mic' went away" in lost.detail) == ("lost", True)
    second = made.process()
    assert first.closed.is_set()
    assert second is not first
    second.deliver(ones(320))
    assert made.next()[0] == Started("Mic", 16000)


def test_a_crash_is_lost_and_opened_again_in_another_process(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    process = made.process()
    process.deliver(ones(320))
    made.next()
    process.crash(ProcessGone("the sound library crashed (Segmentation fault)"))
    lost = made.failure()
    assert (lost.state, lost.detail) == ("lost", "'Mic': the sound library crashed (Segmentation fault); opened again")
    made.process()


def test_a_device_that_is_open_and_delivers_nothing_is_stalled(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    process = made.process()
    process.deliver(ones(320))
    process.be_silent(12)
    process.deliver(ones(320))
    process.be_silent(13)
    while not isinstance(last := made.next()[-1], Failed):
        assert isinstance(last, Block)
    assert (last.state, "delivers nothing" in last.detail) == ("stalled", True)
    made.process()


def test_a_device_that_never_delivers_has_longer(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    made.process().be_silent(30)
    assert made.failure().state == "stalled"


def test_after_the_machine_was_suspended_the_device_is_opened_anew_and_the_time_is_a_gap(
    bench: Callable[..., Bench],
) -> None:
    made = bench(Library(16000))
    first = made.process()
    first.deliver(ones(320), captured=7 * SECOND)
    made.next()
    made.slept = 3600.0
    first.deliver(ones(320), captured=8 * SECOND)
    assert made.failure() == Failed("lost", "'Mic': the machine was suspended for 3600 s; opened again")
    second = made.process()
    assert first.closed.is_set()
    second.deliver(ones(320), captured=9 * SECOND)
    started, gap, block = made.next()
    assert started == Started("Mic", 16000)
    assert gap == Gap(320, 320 + 3602 * 16000 - 320, 16000)
    assert isinstance(block, Block)
    assert block.position == 3602 * 16000


def test_a_suspension_while_the_device_is_away_is_part_of_the_gap(bench: Callable[..., Bench]) -> None:
    library = Library(16000)
    made = bench(library)
    first = made.process()
    first.deliver(ones(320), captured=7 * SECOND)
    made.next()
    library.inputs = []
    first.unplug()
    assert "went away" in made.failure().detail
    assert "there is none at all" in made.failure().detail
    made.slept = 60.0
    library.inputs = [MIC]
    made.process().deliver(ones(320), captured=9 * SECOND)
    _, gap, _ = made.next()
    assert gap == Gap(320, 62 * 16000, 16000)


def test_an_absent_device_is_looked_for_by_the_same_process(bench: Callable[..., Bench]) -> None:
    library = Library(16000)
    library.inputs = []
    made = bench(library)
    assert made.failure() == Failed(
        "starting", "there is no default sound device; there is none at all; tried again every few seconds"
    )
    library.inputs = [MIC]
    made.process()
    assert library.started == 1


def test_a_process_that_hangs_or_crashes_before_it_opens_is_replaced(bench: Callable[..., Bench]) -> None:
    library = Library(16000)
    library.gone = [ProcessGone("the sound system did not answer within 5 s")]
    made = bench(library)
    assert made.failure() == Failed(
        "starting", "the sound system did not answer within 5 s; tried again every few seconds"
    )
    made.process()
    assert library.started == 2


def test_a_process_that_does_not_end_when_killed_is_left_behind(
    bench: Callable[..., Bench], caplog: pytest.LogCaptureFixture
) -> None:
    library = Library(16000)
    made = bench(library, close_seconds=0.01)
    process = made.process()
    process.deliver(ones(320))
    made.next()
    library.hangs = True
    made.microphone.close()  # how soon it returns by default is for the test with a real sound server to say
    assert not process.closed.is_set()
    assert "does not let go" in caplog.text
    process.be_silent(1)


def test_close_kills_the_process(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000), close_seconds=DEADLINE)
    process = made.process()
    made.microphone.close()
    assert process.closed.is_set()


def test_nothing_is_delivered_after_close(bench: Callable[..., Bench]) -> None:
    made = bench(Library(16000))
    process = made.process()
    made.microphone.close()
    made.microphone.close()
    process.deliver(ones(320))
    assert made.intake.drain() == []


def test_closed_before_start_it_starts_no_process_and_refuses_sound() -> None:
    library, intake = Library(16000), Intake("test", lambda: None)
    Microphone(config.Microphone(name="test"), intake, start_process=library.start).close()
    assert intake.closed
    assert library.started == 0


def delivering(bench: Callable[..., Bench], **settings: Any) -> tuple[Bench, FakeProcess]:
    """A microphone that the sound server has connected to one of its sources, and its process."""
    made = bench(Library(16000), source=DESK, **settings)
    process = made.process()
    process.deliver(ones(320))
    assert made.next()[0] == Started("Mic", 16000)
    return made, process


def test_a_stream_that_the_server_moves_to_another_microphone_is_refused(bench: Callable[..., Bench]) -> None:
    made, process = delivering(bench)
    made.server.source, made.now = HALL, 31.0
    process.deliver(ones(320))
    lost = made.failure()
    assert lost.state == "lost"
    assert lost.detail == (
        "'Mic': the sound server records from 'hall' (Hall Microphone) instead of 'desk'; "
        "refused, because `follow` is false"
    )
    assert made.process().source == "desk", "it does not ask for its own microphone"


def test_a_stream_that_the_server_moves_is_followed_if_the_settings_allow_it(bench: Callable[..., Bench]) -> None:
    made, process = delivering(bench, follow=True)
    made.server.source, made.now = HALL, 31.0
    process.deliver(ones(320))
    lost, started, block = made.next()
    assert isinstance(lost, Failed)
    assert "instead of 'desk'; followed" in lost.detail
    assert started == Started("Hall Microphone", 16000)
    assert isinstance(block, Block)


def test_a_microphone_of_the_sound_server_is_opened_through_its_alsa_device(bench: Callable[..., Bench]) -> None:
    library = Library(16000)
    library.inputs = [replace(MIC, name="pulse")]
    made = bench(library, device="hall micro", source=HALL)
    process = made.process()
    assert process.source == "hall"
    process.deliver(ones(320))
    assert made.next()[0] == Started("Hall Microphone", 16000)


def test_a_microphone_that_was_there_is_looked_for_every_second(bench: Callable[..., Bench]) -> None:
    made, process = delivering(bench)
    made.now = 1000.0
    process.unplug()
    before = time.monotonic()
    made.process()
    assert time.monotonic() - before < 3.0
