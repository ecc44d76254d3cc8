from __future__ import annotations

import logging

import pytest

from earmark.access.audit import MAX_CALLERS, Audit, caller


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "earmark.audit")
    return caplog


def test_a_change_is_one_line_with_who_what_before_and_after(lines: pytest.LogCaptureFixture) -> None:
    Audit().changed(caller("desk", "10.0.0.5"), "classifier[words].decide.on", 0.8, 0.7)
    Audit().changed("SIGHUP", "classifier[words].sources", ["a"], ["a", "b"])
    assert lines.messages == [
        'token "desk" at 10.0.0.5 changed classifier[words].decide.on from 0.8 to 0.7',
        'SIGHUP changed classifier[words].sources from ["a"] to ["a", "b"]',
    ]
    assert {(record.name, record.levelname) for record in lines.records} == {("earmark.audit", "INFO")}


def test_who_shows_no_token_or_one_without_a_name_is_told_apart() -> None:
    assert caller(None, "127.0.0.1") == "no token at 127.0.0.1"
    assert caller("", "127.0.0.1") == "a token without a name at 127.0.0.1"


def test_nothing_in_a_line_is_obeyed_by_a_terminal(lines: pytest.LogCaptureFixture) -> None:
    Audit().refused("no token at ::1", "PATCH /v1/a\x1b[2J\n", "no")
    assert lines.messages == ["no token at ::1 was refused PATCH /v1/a?[2J?: no"]


def test_refusals_of_a_caller_are_told_once_a_minute_with_a_count(lines: pytest.LogCaptureFixture) -> None:
    clock = Clock()
    audit = Audit(clock)
    for who in ("a", "a", "a", "b"):
        audit.refused(who, "POST", "why")
    assert lines.messages == ["a was refused POST: why", "b was refused POST: why"]
    clock.now += 59.9
    audit.refused("a", "POST", "why")
    assert len(lines.messages) == 2
    clock.now += 0.1
    audit.refused("a", "POST", "why")
    assert lines.messages[2:] == ["a was refused POST: why (3 more refusals since the last line)"]
    clock.now += 60
    audit.refused("a", "POST", "why")
    assert lines.messages[3:] == ["a was refused POST: why"]


def test_a_bounded_number_of_callers_is_remembered(lines: pytest.LogCaptureFixture) -> None:
    audit = Audit(Clock())
    for number in range(MAX_CALLERS + 1):
        audit.refused(str(number), "y", "z")
    lines.clear()
    audit.refused(str(MAX_CALLERS), "y", "z")
    assert lines.messages == []
    audit.refused("0", "y", "z")  # the oldest was forgotten
    assert lines.messages == ["0 was refused y: z"]


def test_words_are_told_as_they_are_spelt_and_what_a_terminal_would_obey_is_not(
    lines: pytest.LogCaptureFixture,
) -> None:
    Audit(Clock()).refused("x", "y", "می\u200cروم \x1b[2J\u202e")
    assert lines.messages == ["x was refused y: می\u200cروم ?[2J?"]
