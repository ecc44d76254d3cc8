"""Quiet hours: the times of the week, by the clock on the wall, in which a source is paused."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY, WEEK = 24 * 60, 7 * 24 * 60  # minutes
EXAMPLES = "write 22:00-07:00, or with days mon-fri 22:00-07:00 or sat,sun 00:00-24:00"
_TEXT = re.compile(r"(?:(?P<days>[a-z,-]+) +)?(?P<from>\d\d:\d\d) *- *(?P<to>\d\d:\d\d)")


@dataclass(frozen=True, slots=True)
class QuietHours:
    """The minutes of a week that are quiet. Minute 0 begins on Monday at 00:00.

    Minutes are those that a clock on the wall shows: where it is put back, an hour of them comes twice, and where it is
    put forward, an hour of them does not come.
    """

    minutes: frozenset[int] = frozenset()

    def until(self, minute: int) -> int | None:
        """Return the first minute after `minute` that is not quiet; None if there is none, or `minute` is not quiet."""
        if minute not in self.minutes:
            return None
        return next((at % WEEK for at in range(minute, minute + WEEK) if at % WEEK not in self.minutes), None)


def parse(texts: Iterable[str]) -> QuietHours:
    """Return the quiet hours that the settings describe. Raises ValueError, with the text and what to write."""
    return QuietHours(frozenset(minute for text in texts for minute in _minutes(text)))


def minute_of_week(time: datetime) -> int:
    """Return the minute that a clock on the wall shows at `time`, which is local."""
    return time.weekday() * DAY + time.hour * 60 + time.minute


def clock(minute: int, now: int) -> str:
    """Return a minute of the week for people: `07:00`, and if it is more than a day after `now`, `mon 07:00`."""
    time = f"{minute % DAY // 60:02}:{minute % 60:02}"
    return f"{DAYS[minute // DAY]} {time}" if (minute - now) % WEEK > DAY else time


def _minutes(text: str) -> Iterator[int]:
    found = _TEXT.fullmatch(text.strip().lower())
    if found is None:
        raise ValueError(f"{text!r} is no time of day; {EXAMPLES}")
    start, end = _minute(found["from"], text), _minute(found["to"], text)
    if start in (end, DAY):
        raise ValueError(f"{text!r} has no length; {EXAMPLES}")
    for day in _days(found["days"] or "mon-sun", text):
        for minute in range(start, end if end > start else end + DAY):
            yield (day * DAY + minute) % WEEK


def _minute(clock: str, text: str) -> int:
    hours, minutes = map(int, clock.split(":"))
    if minutes > 59 or 60 * hours + minutes > DAY:
        raise ValueError(f"{text!r}: {clock} is no time of day; {EXAMPLES}")
    return 60 * hours + minutes


def _days(names: str, text: str) -> Iterator[int]:
    for part in names.split(","):
        first, dash, last = part.partition("-")
        last = last if dash else first
        for name in (first, last):
            if name not in DAYS:
                raise ValueError(f"{text!r}: {name!r} is no day; days are {', '.join(DAYS)}")
        day, end = DAYS.index(first), DAYS.index(last)
        yield from (each % 7 for each in range(day, end + 1 if end >= day else end + 8))
