from __future__ import annotations

from datetime import UTC, timedelta, timezone
from time import tzset

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.protocol.events import (
    Error,
    Event,
    Gap,
    GateLevel,
    Hello,
    Label,
    Level,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    Subscribed,
    Tick,
)
from earmark.protocol.text import clock, header, line

TIME = "2026-11-22T06:31:05.120Z"
BERLIN = timezone(timedelta(hours=1))

LINES: list[tuple[Event, str | None]] = [
    (
        Label(1, TIME, "demo", "commands", "e-1", "stop", "on", 1.0, score=0.973, end=1.6),
        "07:31:05  demo        commands    stop            0.97",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "on", 1.0, score=0.77),
        "07:31:05  desk        emotion     happy           0.77   on",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.0, end=8.0, peak=0.93, reason="quiet"),
        "07:31:05  desk        emotion     happy           0.93   off after 7.0 s: quiet",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.0),
        "07:31:05  desk        emotion     happy                  off",
    ),
    (
        Result(1, TIME, "desk", "emotion", 0, 1, result=(Score(0.81, "happy"), Score(0.1, "calm"))),
        "07:31:05  desk        emotion     happy 0.81, calm 0.10",
    ),
    (
        Result(1, TIME, "desk", "emotion", 0, 1, suppressed="margin"),
        "07:31:05  desk        emotion     nothing         suppressed: margin",
    ),
    (Source(1, TIME, "desk", "lost", "retrying in 0.5 s"), "07:31:05  desk        lost: retrying in 0.5 s"),
    (
        Source(1, TIME, "phone", "lost", "192.168.1.20 has ended; waiting", "192.168.1.20"),
        "07:31:05  phone       lost: 192.168.1.20 has ended; waiting",
    ),
    (Source(1, TIME, "desk", "listening", device="USB"), "07:31:05  desk        listening   USB"),
    (Loss(1, TIME, "desk", 19.4, 20.1, "device"), "07:31:05  desk        lost 0.70 s of sound: device"),
    (
        Loss(1, TIME, "desk", 19.4, 20.1, "worker", "emotion"),
        "07:31:05  desk        emotion     lost 0.70 s of sound: worker",
    ),
    (
        Level("desk", TIME, -42.1, -30.2, -61.0, {"words": GateLevel(True, 0.934, 0.5), "all": GateLevel(True)}),
        "07:31:05  desk        -42.1 dB, peak -30.2, floor -61.0  words open 0.93/0.5  all open",
    ),
    (Tick(1191, TIME), "07:31:05  event 1191 is the newest"),
    (Gap(4, 9, "slow"), "events 4 to 9 were missed: slow"),
    (Gap(1, 0, "epoch"), "events may be missing, because the daemon's journal is new or off"),
    (
        Gap(1, 1, "epoch"),
        "events may be missing, because the daemon's journal is new or off; its events 1 to 1 are not kept",
    ),
    (Error("disk full"), "error: disk full"),
    (
        Hello("1.0", "ab", 1, 1, (SourceInfo("desk", "quiet"),), ()),
        "connected to Earmark 1.0, which hears desk (quiet)",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "on", 1.0),
        "07:31:05  desk        emotion     happy                  on",
    ),
    (Label(1, TIME, "demo", "commands", "e-1", "stop", "on", 1.0, end=1.6), "07:31:05  demo        commands    stop"),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.0, reason="reload"),
        "07:31:05  desk        emotion     happy                  off: reload",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.25, score=0.5, end=2.0, peak=0.0),
        "07:31:05  desk        emotion     happy           0.00   off after 0.8 s",
    ),
    (Source(1, TIME, "desk", "lost", "retrying", "USB"), "07:31:05  desk        lost: retrying  USB"),
    (
        Hello("1.0", "ab", 1, 1, (SourceInfo("desk", "quiet"), SourceInfo("door", "lost")), ()),
        "connected to Earmark 1.0, which hears desk (quiet), door (lost)",
    ),
    (Hello("1.0", "ab", 1, 1, (), ()), "connected to Earmark 1.0, which hears no source"),
    (Subscribed(1), None),
]


@pytest.mark.parametrize(("event", "text"), LINES)
def test_an_event_is_one_line(event: Event, text: str | None) -> None:
    assert line(event, zone=BERLIN) == text


def test_a_header_names_the_columns_and_a_long_name_moves_its_own_line_alone() -> None:
    assert header() == "time      source      classifier  label           score"
    assert header(colour=True) == "\x1b[2mtime      source      classifier  label           score\x1b[0m"
    long = Label(1, TIME, "kitchen-microphone", "emotion", "e-2", "happy", "on", 1.0, score=0.77)
    assert line(long, zone=BERLIN) == "07:31:05  kitchen-microphone  emotion     happy           0.77   on"


BOLD, DIM, RED = "\x1b[1m", "\x1b[2m", "\x1b[31m"


def style(event: Event) -> str:
    match event:
        case Label(state="on"):
            return BOLD
        case Error():
            return RED
        case _:
            return DIM


@pytest.mark.parametrize(("event", "text"), LINES)
def test_colour_wraps_the_line_bold_where_a_label_begins_red_for_errors_and_dim_for_all_else(
    event: Event, text: str | None
) -> None:
    coloured = None if text is None else f"{style(event)}{text}\x1b[0m"
    assert line(event, colour=True, zone=BERLIN) == coloured


@pytest.mark.parametrize(
    ("time", "shown"),
    [
        (TIME, "07:31:05"),
        ("2026-11-22T23:59:59.999Z", "00:59:59"),
        ("2026-11-22T12:00:00+05:00", "08:00:00"),
        ("soon", "--:--:--"),
        ("", "--:--:--"),
        ("0001-01-01T00:00:00+05:00", "--:--:--"),  # before the first year
    ],
)
def test_a_clock_shows_hours_minutes_and_seconds_in_its_zone(time: str, shown: str) -> None:
    assert clock(time, BERLIN) == shown


def test_without_a_zone_times_are_local(monkeypatch: pytest.MonkeyPatch) -> None:
    assert clock(TIME, UTC) == "06:31:05"
    event = Source(1, TIME, "desk", "quiet")
    try:
        with monkeypatch.context() as patch:
            patch.setenv("TZ", "XXX-03:00")  # three hours east
            tzset()
            assert clock(TIME) == "09:31:05"
            assert line(event) == "09:31:05  desk        quiet"
    finally:
        tzset()


def test_a_time_that_is_none_does_not_hide_the_event() -> None:
    assert line(Source(1, "soon", "desk", "quiet")) == "--:--:--  desk        quiet"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("a\nb", "a?b"),
        ("\x1b[2J", "?[2J"),
        ("\u202ex", "?x"),
        ("\x00", "?"),
        ("Küche ✓", "Küche ✓"),
        ("a\u00a0b", "a?b"),
    ],
)
def test_what_is_not_printable_is_a_question_mark(name: str, shown: str) -> None:
    event = Label(1, TIME, name, name, "e", name, "on", 0.0, score=0.5)
    row = f"07:31:05  {shown:<10}  {shown:<10}  {shown:<14}  0.50   on"
    assert line(event, zone=BERLIN) == row
    assert line(event, colour=True, zone=BERLIN) == f"{BOLD}{row}\x1b[0m"
    assert line(Error(name)) == f"error: {shown}"


@given(st.text())
def test_names_cannot_drive_the_terminal(name: str) -> None:
    text = line(Label(1, TIME, name, "c", "e", name, "on", 0.0, score=0.5))
    assert text is not None
    assert text.isprintable()
