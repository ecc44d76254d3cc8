from __future__ import annotations

from earmark.changes.pausing import BY_REQUEST, Pausing
from earmark.config.quiet import QuietHours, parse

NIGHT = 23 * 60  # Monday, 23:00
MORNING = 24 * 60 + 7 * 60
NEXT_NIGHT = NIGHT + 24 * 60


def at_night() -> Pausing:
    return Pausing(parse(["22:00-07:00"]))


def test_quiet_hours_pause_a_source_and_say_until_when() -> None:
    pausing = at_night()
    assert pausing.reason(12 * 60) == ""
    assert pausing.reason(NIGHT) == "quiet hours until 07:00"
    assert pausing.reason(MORNING) == ""


def test_a_request_to_go_on_wins_until_the_quiet_hours_end() -> None:
    pausing = at_night()
    pausing.request(False, NIGHT)
    assert pausing.reason(NIGHT + 1) == ""
    assert pausing.reason(MORNING - 1) == ""
    assert pausing.reason(MORNING) == ""
    assert pausing.reason(NEXT_NIGHT) == "quiet hours until 07:00"


def test_a_request_to_go_on_by_day_says_nothing_of_the_night() -> None:
    pausing = at_night()
    pausing.request(False, 12 * 60)
    assert pausing.reason(NIGHT) == "quiet hours until 07:00"


def test_a_request_to_pause_outlasts_quiet_hours() -> None:
    pausing = at_night()
    pausing.request(True, NIGHT)
    assert [pausing.reason(minute) for minute in (NIGHT, MORNING, NEXT_NIGHT)] == [BY_REQUEST] * 3
    pausing.request(False, MORNING + 60)
    assert pausing.reason(MORNING + 60) == ""


def test_other_quiet_hours_hold_at_once() -> None:
    pausing = at_night()
    pausing.quiet = QuietHours()
    assert pausing.reason(NIGHT) == ""
    pausing.quiet = parse(["00:00-24:00"])
    assert pausing.reason(NIGHT) == "quiet hours"
