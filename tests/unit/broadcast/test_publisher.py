from __future__ import annotations

import logging
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.publisher import Publisher, PublisherStats
from earmark.broadcast.sink import Published
from earmark.detection.draft import Draft
from earmark.protocol.events import Label, Loss, Numbered, Result, Score, Source, decode, encode

NOW = 5_000_000_000  # nanoseconds on the monotonic clock
UTC_NOW = datetime(2026, 11, 22, 7, 31, 5, 120_000, tzinfo=UTC)
RESULT = Result(0, "", "desk", "emotion", 0.0, 1.0, result=(Score(0.8, "happy"),))
ON = Label(0, "", "desk", "emotion", "e-1", "happy", "on", 0.0, score=0.7)
OFF = Label(0, "", "desk", "emotion", "e-1", "happy", "off", 0.0, end=4.0, peak=0.9, reason="quiet")
SOURCE = Source(0, "", "desk", "lost")
LOSS = Loss(0, "", "desk", 1.0, 2.0, "device")


@dataclass
class Kept:
    """A sink that keeps everything, and writes its name down in `order`."""

    name: str = ""
    order: list[str] = field(default_factory=list)
    published: list[Published] = field(default_factory=list)

    def publish(self, published: Published) -> None:
        self.published.append(published)
        self.order.append(f"{self.name}{published.event.seq}")


class Broken:
    """A sink that takes nothing."""

    def publish(self, published: Published) -> None:
        raise OSError("disk full")


def publisher(*sinks: Kept | Broken, now: int = NOW, utc: datetime = UTC_NOW) -> Publisher:
    return Publisher(sinks, epoch="9f2c", monotonic=lambda: now, utc=lambda: utc)


def published(*drafts: Draft) -> list[Published]:
    sink = Kept()
    publisher(sink).publish(drafts)
    return sink.published


def test_the_numbering_goes_on_from_the_last_number_of_another_publisher() -> None:
    sink = Kept()
    made = Publisher([sink], epoch="9f2c", seq=41)
    made.publish([Draft(RESULT, NOW)])
    assert [each.event.seq for each in sink.published] == [42]
    assert (made.stats().epoch, made.stats().seq) == ("9f2c", 42)


def test_events_are_numbered_from_one_across_all_calls() -> None:
    sink = Kept()
    made = publisher(sink)
    assert made.seq == 0
    made.publish([Draft(RESULT, NOW), Draft(ON, NOW)])
    made.publish([])
    made.publish([Draft(SOURCE, NOW)])
    assert [each.event.seq for each in sink.published] == [1, 2, 3]
    assert made.stats() == PublisherStats("9f2c", 3, {})


def test_two_publishers_have_different_epochs() -> None:
    assert Publisher([]).epoch != Publisher([]).epoch


@pytest.mark.parametrize("event", [RESULT, ON, OFF, SOURCE, LOSS])
def test_the_time_is_that_of_publication_and_nothing_else_of_the_event_changes(event: Numbered) -> None:
    (each,) = published(Draft(event, NOW - 48_000_000))
    stamps: dict[str, object] = {"seq": 1, "time": "2026-11-22T07:31:05.120Z"}
    if isinstance(event, Result | Label):
        stamps["lag"] = 0.048
    assert each.event == msgspec.structs.replace(event, **stamps)


@pytest.mark.parametrize(
    ("event", "start", "end"),
    [
        (RESULT, "2026-11-22T07:31:00.572Z", "2026-11-22T07:31:01.572Z"),
        (ON, "2026-11-22T07:31:00.572Z", ""),
        (OFF, "2026-11-22T07:31:00.572Z", "2026-11-22T07:31:04.572Z"),
        (LOSS, "2026-11-22T07:31:01.572Z", "2026-11-22T07:31:02.572Z"),
    ],
)
def test_where_the_sound_lies_is_told_in_utc_too(event: Result | Label | Loss, start: str, end: str) -> None:
    """Four and a half seconds of the stream had been captured 48 ms before."""
    (each,) = published(Draft(event, NOW - 48_000_000, at=4500))
    assert isinstance(each.event, Result | Label | Loss)
    assert (each.event.start_time, each.event.end_time) == (start, end)


def test_times_never_run_backwards_even_if_the_wall_clock_does() -> None:
    clock = iter([UTC_NOW, UTC_NOW - timedelta(seconds=2), UTC_NOW + timedelta(seconds=1)])
    sink = Kept()
    made = Publisher([sink], monotonic=lambda: NOW, utc=lambda: next(clock))
    made.publish([Draft(ON, NOW - 9), Draft(OFF, NOW - 10**9), Draft(SOURCE, NOW)])
    assert [each.event.time[17:] for each in sink.published] == ["05.120Z", "05.120Z", "06.120Z"]


@pytest.mark.scenario(16)
def test_a_clock_that_is_set_back_by_an_hour_changes_neither_the_order_nor_a_duration() -> None:
    """The clocks are played: the wall clock is set back between the two events of a label that lasts ten minutes."""
    now, wall, sink = NOW, UTC_NOW, Kept()
    made = Publisher([sink], monotonic=lambda: now, utc=lambda: wall)
    made.publish([Draft(ON, now, at=0)])
    now, wall = NOW + 600 * 10**9, UTC_NOW - timedelta(minutes=50)
    made.publish([Draft(msgspec.structs.replace(OFF, end=600.0), now, at=600_000)])
    on, off = (each.event for each in sink.published)
    assert isinstance(on, Label)
    assert isinstance(off, Label)
    assert (on.seq, off.seq) == (1, 2)
    assert on.time < off.time
    assert off.end_time is not None
    assert off.start_time is not None
    lasted = datetime.fromisoformat(off.end_time) - datetime.fromisoformat(off.start_time)
    assert lasted == timedelta(minutes=10)
    assert off.end_time == off.time, "the places of the sound are told by the same clock"


@pytest.mark.parametrize(("nanoseconds", "lag"), [(0, 0.0), (49_949, 0.0), (50_051, 0.0001), (1_234_560_000, 1.2346)])
def test_the_lag_of_a_result_is_told_to_a_tenth_of_a_millisecond(nanoseconds: int, lag: float) -> None:
    (each,) = published(Draft(RESULT, NOW - nanoseconds))
    assert isinstance(each.event, Result)
    assert each.event.lag == lag


@given(st.integers(0, 10**12), st.integers(0, 10**9))
def test_a_time_of_the_sound_reads_back_to_the_millisecond(nanoseconds: int, milliseconds: int) -> None:
    loss = Loss(0, "", "desk", 1.0, milliseconds / 1000, "device")
    (each,) = published(Draft(loss, NOW - nanoseconds, at=milliseconds))
    assert isinstance(each.event, Loss)
    told = datetime.fromisoformat(each.event.end_time)
    assert timedelta(0) <= UTC_NOW - timedelta(microseconds=nanoseconds // 1000) - told < timedelta(milliseconds=1)


def test_the_text_is_the_event_as_json_and_the_same_bytes_for_every_sink() -> None:
    first, second = Kept(), Kept()
    publisher(first, second).publish([Draft(RESULT, NOW)])
    (one,), (other,) = first.published, second.published
    assert decode(one.text) == one.event
    assert one.text == encode(one.event)
    assert one.text is other.text


def test_an_off_carries_the_score_of_its_on() -> None:
    assert [each.on_score for each in published(Draft(ON, NOW), Draft(OFF, NOW, on_score=0.7))] == [None, 0.7]


def test_sinks_are_fed_event_by_event_in_their_order() -> None:
    order: list[str] = []
    publisher(Kept("hub", order), Kept("file", order)).publish([Draft(ON, NOW), Draft(OFF, NOW)])
    assert order == ["hub1", "file1", "hub2", "file2"]


def test_a_sink_that_raises_harms_no_other_and_is_counted_and_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    before, after = Kept(), Kept()
    made = publisher(before, Broken(), after)
    with caplog.at_level(logging.ERROR):
        made.publish([Draft(ON, NOW)])
        made.publish([Draft(OFF, NOW), Draft(SOURCE, NOW)])
    assert before.published == after.published
    assert len(after.published) == 3
    assert made.stats().failed == {"Broken": 3}
    assert [record.getMessage() for record in caplog.records] == [
        "Broken failed on event 1; further failures of it are counted only"
    ]
