from __future__ import annotations

from datetime import timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.events import (
    Error,
    Event,
    Gap,
    Hello,
    Label,
    Loss,
    Result,
    Score,
    Source,
    SourceInfo,
    Subscribed,
)
from earmark.core.lines import line

TIME = "2026-11-22T06:31:05.120Z"
BERLIN = timezone(timedelta(hours=1))

LINES: list[tuple[Event, str | None]] = [
    (
        Label(1, TIME, "demo", "commands", "e-1", "stop", "on", 1.0, score=0.973, end=1.6),
        "07:31:05  demo  commands  stop  0.97",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "on", 1.0, score=0.77),
        "07:31:05  desk  emotion  happy  0.77  on",
    ),
    (
        Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.0, end=8.0, peak=0.93, reason="quiet"),
        "07:31:05  desk  emotion  happy  0.93  off after 7.0 s: quiet",
    ),
    (Label(1, TIME, "desk", "emotion", "e-2", "happy", "off", 1.0), "07:31:05  desk  emotion  happy  off"),
    (
        Result(1, TIME, "desk", "emotion", 0, 1, result=(Score(0.81, "happy"), Score(0.1, "calm"))),
        "07:31:05  desk  emotion  happy 0.81, calm 0.10",
    ),
    (
        Result(1, TIME, "desk", "emotion", 0, 1, suppressed="margin"),
        "07:31:05  desk  emotion  nothing  suppressed: margin",
    ),
    (Source(1, TIME, "desk", "lost", "retrying in 0.5 s"), "07:31:05  desk  lost: retrying in 0.5 s"),
    (Source(1, TIME, "desk", "listening", device="USB"), "07:31:05  desk  listening  USB"),
    (Loss(1, TIME, "desk", 19.4, 20.1, "device"), "07:31:05  desk  lost 0.70 s of sound: device"),
    (
        Loss(1, TIME, "desk", 19.4, 20.1, "worker", "emotion"),
        "07:31:05  desk  emotion  lost 0.70 s of sound: worker",
    ),
    (Gap(4, 9, "slow"), "events 4 to 9 were missed: slow"),
    (Error("disk full"), "error: disk full"),
    (
        Hello("1.0", "ab", 1, 1, (SourceInfo("desk", "quiet"),), ()),
        "connected to Earmark 1.0, which hears desk (quiet)",
    ),
    (Subscribed(1), None),
]


@pytest.mark.parametrize(("event", "text"), LINES)
def test_an_event_is_one_line(event: Event, text: str | None) -> None:
    assert line(event, zone=BERLIN) == text


def test_colour_only_wraps_the_line() -> None:
    for event, text in LINES:
        coloured = line(event, colour=True, zone=BERLIN)
        assert coloured is None or coloured.startswith("\x1b[")
        assert coloured is None or (text is not None and text in coloured)


def test_a_time_that_is_none_does_not_hide_the_event() -> None:
    assert line(Source(1, "soon", "desk", "quiet")) == "--:--:--  desk  quiet"


@given(st.text())
def test_names_cannot_drive_the_terminal(name: str) -> None:
    text = line(Label(1, TIME, name, "c", "e", name, "on", 0.0, score=0.5))
    assert text is not None
    assert text.isprintable()
