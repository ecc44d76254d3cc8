from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from earmark.config.quiet import DAY, DAYS, WEEK, clock, minute_of_week, parse


def at(text: str) -> int:
    """The minute of the week of `mon 07:00`."""
    day, time = text.split()
    hours, minutes = time.split(":")
    return DAYS.index(day) * DAY + int(hours) * 60 + int(minutes)


@pytest.mark.parametrize(
    ("texts", "quiet", "loud"),
    [
        (["22:00-07:00"], ["mon 22:00", "sun 23:59", "mon 00:00", "tue 06:59"], ["mon 21:59", "mon 07:00"]),
        (["12:00-13:00"], ["wed 12:00", "wed 12:59"], ["wed 11:59", "wed 13:00"]),
        (["sat,sun 00:00-24:00"], ["sat 00:00", "sun 23:59"], ["fri 23:59", "mon 00:00"]),
        (["mon-fri 22:00-07:00"], ["mon 22:00", "sat 06:59"], ["sat 22:00", "mon 06:59", "sat 07:00"]),
        (["fri-mon 10:00-11:00"], ["fri 10:00", "sat 10:00", "sun 10:30", "mon 10:59"], ["tue 10:00", "thu 10:00"]),
        (["Sun 22:00 - 02:00"], ["sun 22:00", "mon 01:59"], ["mon 02:00", "sun 01:00"]),
        (["08:00-09:00", "sat 20:00-21:00"], ["mon 08:30", "sat 20:30"], ["mon 20:30"]),
        ([], [], ["mon 00:00"]),
    ],
)
def test_the_quiet_minutes_are_those_that_are_written(texts: list[str], quiet: list[str], loud: list[str]) -> None:
    minutes = parse(texts).minutes
    assert [text for text in quiet if at(text) not in minutes] == []
    assert [text for text in loud if at(text) in minutes] == []


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("at night", "'at night' is no time of day; write 22:00-07:00"),
        ("22-7", "'22-7' is no time of day"),
        ("22:60-07:00", "'22:60-07:00': 22:60 is no time of day"),
        ("22:00-24:01", "'22:00-24:01': 24:01 is no time of day"),
        ("22:00-22:00", "'22:00-22:00' has no length"),
        ("24:00-01:00", "'24:00-01:00' has no length"),
        ("mon,noday 22:00-23:00", "'mon,noday 22:00-23:00': 'noday' is no day; days are mon, tue"),
        ("mon- 22:00-23:00", "'mon- 22:00-23:00': '' is no day"),
    ],
)
def test_what_is_no_time_is_refused_with_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}"):
        parse([text])


def test_quiet_hours_end_where_the_next_minute_is_not_quiet() -> None:
    night = parse(["22:00-24:00", "00:00-07:00"])
    assert night.until(at("mon 23:00")) == at("tue 07:00")
    assert night.until(at("sun 22:00")) == at("mon 07:00")
    assert night.until(at("mon 12:00")) is None
    assert parse(["00:00-24:00"]).until(0) is None


def test_the_minute_is_that_of_the_clock_on_the_wall() -> None:
    assert minute_of_week(datetime(2026, 11, 23)) == 0  # a Monday
    assert minute_of_week(datetime(2026, 11, 29, 23, 59, 59)) == WEEK - 1


def test_an_end_that_is_far_away_is_told_with_its_day() -> None:
    assert clock(at("tue 07:00"), at("mon 23:00")) == "07:00"
    assert clock(at("mon 07:05"), at("sat 00:00")) == "mon 07:05"


@pytest.mark.parametrize(
    ("begin", "minutes"),
    [
        ("2026-03-28T22:00", 0),  # the hour from 2 to 3 does not come
        ("2026-10-24T22:00", 120),  # it comes twice
        ("2026-06-01T22:00", 60),
    ],
)
def test_where_the_clock_is_put_forward_or_back_quiet_hours_go_by_what_it_shows(begin: str, minutes: int) -> None:
    quiet, place = parse(["02:00-03:00"]), ZoneInfo("Europe/Berlin")
    start = datetime.fromisoformat(f"{begin}+00:00")
    shown = [minute_of_week((start + timedelta(minutes=number)).astimezone(place)) for number in range(8 * 60)]
    assert sum(minute in quiet.minutes for minute in shown) == minutes


def test_quiet_hours_over_the_hour_that_does_not_come_end_at_the_time_that_they_say() -> None:
    quiet, place = parse(["22:00-07:00"]), ZoneInfo("Europe/Berlin")
    start = datetime(2026, 3, 28, 20, tzinfo=UTC)
    local = [(start + timedelta(minutes=number)).astimezone(place) for number in range(12 * 60)]
    inside = [each for each in local if minute_of_week(each) in quiet.minutes]
    assert (f"{inside[0]:%H:%M}", f"{inside[-1]:%H:%M}", len(inside)) == ("22:00", "06:59", 8 * 60)
