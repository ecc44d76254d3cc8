from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from earmark.broadcast.sink import Published
from earmark.protocol.events import Config, Loss, LossCause, Numbered, Source, SourceState, encode
from earmark.supervision.source_log import SourceLog


@dataclass
class Alarm:
    at: float
    call: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


@dataclass
class Bench:
    """A log of sources whose clock is moved by hand."""

    caplog: pytest.LogCaptureFixture
    now: float = 0.0
    alarms: list[Alarm] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.caplog.set_level(logging.INFO)
        self.log = SourceLog(clock=lambda: self.now, later=self._later)

    def _later(self, seconds: float, call: Callable[[], None]) -> Alarm:
        self.alarms.append(Alarm(self.now + seconds, call))
        return self.alarms[-1]

    def publish(self, event: Numbered) -> None:
        self.log.publish(Published(event, encode(event)))

    def state(self, state: SourceState, detail: str = "", device: str = "", source: str = "desk") -> None:
        self.publish(Source(1, "", source, state, detail, device))

    def loss(self, cause: LossCause, seconds: float) -> None:
        self.publish(Loss(1, "", "desk", 0.0, seconds, cause))

    def at(self, now: float) -> None:
        """Let time pass, and the alarms ring."""
        self.now = now
        for alarm in [each for each in self.alarms if each.at <= now]:
            self.alarms.remove(alarm)
            if not alarm.cancelled:
                alarm.call()

    def lines(self) -> list[tuple[str, str]]:
        told = [(record.levelname, record.getMessage()) for record in self.caplog.records]
        self.caplog.clear()
        return told


@pytest.fixture
def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    return Bench(caplog)


def test_each_change_of_a_source_is_a_line(bench: Bench) -> None:
    bench.state("listening", device="USB")
    bench.state("lost", "'USB' went away; tried again every few seconds")
    bench.state("listening", device="USB")
    assert bench.lines() == [
        ("INFO", "source desk: listening (USB)"),
        ("WARNING", "source desk: lost: 'USB' went away; tried again every few seconds"),
        ("INFO", "source desk: listening (USB)"),
    ]


def test_a_device_that_the_detail_begins_with_is_told_once(bench: Bench) -> None:
    bench.state("lost", "192.168.1.20 has ended", device="192.168.1.20")
    assert bench.lines() == [("WARNING", "source desk: lost: 192.168.1.20 has ended")]


def test_a_record_says_the_source_and_its_state_in_fields(bench: Bench) -> None:
    bench.state("muted")
    [record] = bench.caplog.records
    assert (vars(record)["source"], vars(record)["state"]) == ("desk", "muted")


def test_a_source_that_flaps_gets_a_line_every_ten_seconds_with_its_state_then_and_a_count(bench: Bench) -> None:
    for turn in range(50):
        bench.state("lost" if turn % 2 else "listening")
    assert len(bench.lines()) == 6
    bench.at(9.9)
    assert bench.lines() == []
    bench.at(10)
    assert bench.lines() == [("WARNING", "source desk: lost (43 more changes since the last line)")]
    bench.at(1000)
    assert bench.lines() == []  # nothing was left out since


def test_the_last_line_tells_the_state_of_a_source_that_has_calmed_down(bench: Bench) -> None:
    for _ in range(6):
        bench.state("lost")
    bench.state("listening")
    bench.lines()
    bench.at(10)
    assert bench.lines() == [("INFO", "source desk: listening")]


def test_one_source_that_flaps_silences_no_other(bench: Bench) -> None:
    for _ in range(20):
        bench.state("lost")
    bench.lines()
    bench.state("lost", source="door")
    assert bench.lines() == [("WARNING", "source door: lost")]


def test_what_was_left_out_is_written_at_the_end(bench: Bench) -> None:
    for _ in range(9):
        bench.state("lost")
    bench.lines()
    bench.log.close()
    assert bench.lines() == [("WARNING", "source desk: lost (2 more changes since the last line)")]
    bench.at(99)
    assert bench.lines() == []


def test_losses_are_summed_up_once_a_minute(bench: Bench) -> None:
    for _ in range(10):
        bench.loss("overload", 0.5)
    bench.at(59)
    bench.loss("device", 1.0)
    assert bench.lines() == [("WARNING", "source desk: lost 0.50 s of sound: overload")]
    bench.at(60)
    told = "source desk: lost 5.50 s of sound: device (9 more losses since the last line)"
    assert bench.lines() == [("WARNING", told)]
    bench.at(1000)
    assert bench.lines() == []  # nothing was lost since
    bench.loss("device", 2.0)
    assert bench.lines() == [("WARNING", "source desk: lost 2.00 s of sound: device")]


def test_losses_that_had_no_line_are_told_at_the_end(bench: Bench) -> None:
    for _ in range(3):
        bench.loss("overload", 0.5)
    bench.lines()
    bench.log.close()
    told = "source desk: lost 1.00 s of sound: overload (1 more loss since the last line)"
    assert bench.lines() == [("WARNING", told)]
    bench.at(99)
    assert bench.lines() == []


def test_a_source_that_was_removed_is_forgotten(bench: Bench) -> None:
    for _ in range(9):
        bench.state("lost")
        bench.loss("device", 1.0)
    bench.lines()
    bench.publish(Config(1, "", (), (), "reload"))
    bench.at(99)
    assert bench.lines() == []
    bench.state("starting")
    assert bench.lines() == [("INFO", "source desk: starting")]
