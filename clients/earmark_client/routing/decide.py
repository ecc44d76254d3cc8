"""Which routes take an event, and which nearly do. Nothing here waits, runs anything or knows the time.

The sound decides, not the clock of this machine: refractory times, days and times of day are those of the events, so a
stream that is replayed is decided as it was live. Only `max_age` looks at the present.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import msgspec

from earmark.config import quiet
from earmark.protocol.events import Label
from earmark_client.routing.settings import Filter, Route, listed

CLOCK_SLACK = timedelta(seconds=1)  # between the sound's own time and its UTC
MOST_WAKES = 1000  # labels of sources that are remembered for `after`


@dataclass(frozen=True, slots=True)
class Taken:
    """The route takes the event: its action is to run."""

    route: Route
    event: Label


@dataclass(frozen=True, slots=True)
class Held:
    """The event has the route's label, source and state, and is not taken: `why` is a word, `detail` a sentence."""

    route: Route
    event: Label
    why: str
    detail: str


class Heard(msgspec.Struct):
    """The newest sound of a label at a source, in seconds of the source's stream and in UTC.

    `end` is None while the label is on.
    """

    start: float
    end: float | None
    start_time: str
    end_time: str


class Memory(msgspec.Struct):
    """What is known of the past, to be kept over a restart of the router."""

    last: dict[str, str] = msgspec.field(default_factory=dict)  # route to the time of the last event that it took
    heard: dict[str, Heard] = msgspec.field(default_factory=dict)  # source and label, separated by a line feed


class Decider:
    """Decides for each event which routes take it. `zone` is the local time, None the system's."""

    def __init__(self, routes: Iterable[Route], memory: Memory | None = None, zone: tzinfo | None = None) -> None:
        self.memory = Memory() if memory is None else memory
        self._zone = zone
        self.replace(routes)

    def replace(self, routes: Iterable[Route]) -> None:
        """Go on with other routes; what is remembered of those with the same name stays."""
        self._routes = [(route, quiet.parse(listed(route.between))) for route in routes]

    def decide(self, event: Label, now: datetime) -> list[Taken | Held]:
        """Return what becomes of `event`, in the order of the routes; nothing for routes that it does not concern."""
        found: list[Taken | Held] = []
        for route, hours in self._routes:
            if not concerns(route, event):
                continue
            held = self._held(route, hours, event, now)
            if held is None:
                self.memory.last[route.name] = event.time
                found.append(Taken(route, event))
            else:
                found.append(Held(route, event, *held))
        self._hear(event)
        return found

    def _held(self, route: Route, hours: quiet.QuietHours, event: Label, now: datetime) -> tuple[str, str] | None:
        """Return why the route does not take the event, as a word and a sentence."""
        local = moment(event.time).astimezone(self._zone)
        score = event.peak if event.score is None else event.score
        if route.min_score and (score is None or score < route.min_score):
            return "score", f"{'no score' if score is None else f'{score:.2f}'} is below {route.min_score:g}"
        if hours.minutes and quiet.minute_of_week(local) not in hours.minutes:
            return "between", f"{local:%a %H:%M} is not in {', '.join(listed(route.between))}".lower()
        if route.after and not any(self._follows(event, label, route.within) for label in listed(route.after)):
            return "after", f"no {' or '.join(listed(route.after))} within {route.within:g} s before"
        last = self.memory.last.get(route.name)
        if last is not None:
            passed = (local - moment(last)).total_seconds()
            if route.first_of_day and moment(last).astimezone(self._zone).date() == local.date():
                return "first_of_day", f"it ran today at {moment(last).astimezone(self._zone):%H:%M:%S}"
            if 0 <= passed < route.refractory:
                return "refractory", f"refractory, {passed:.1f} of {route.refractory:g} s"
        return late(route, event, now)

    def _follows(self, event: Label, label: str, within: float) -> bool:
        """Return whether `label` was heard by the source of `event` at most `within` seconds before its beginning."""
        heard = self.memory.heard.get(f"{event.source}\n{label}")
        if heard is None or event.start < heard.start:
            return False
        if heard.end is None:
            return True
        if round(event.start - heard.end, 3) > within:  # events tell milliseconds
            return False
        # The stream of a source counts anew when the daemon is started; the time of day tells that apart
        if not (heard.end_time and event.start_time):
            return True
        return moment(event.start_time) - moment(heard.end_time) <= timedelta(seconds=within) + CLOCK_SLACK

    def _hear(self, event: Label) -> None:
        """Remember where the label was, for the `after` of later events."""
        if not any(event.label in listed(route.after) for route, _ in self._routes):
            return
        key = f"{event.source}\n{event.label}"
        self.memory.heard.pop(key, None)
        self.memory.heard[key] = Heard(event.start, event.end, event.start_time, event.end_time)
        while len(self.memory.heard) > MOST_WAKES:
            del self.memory.heard[next(iter(self.memory.heard))]


def concerns(route: Route, event: Label) -> bool:
    """Return whether an event is of the label, source, classifier and state that a route is for."""
    if route.on not in (event.state, "both"):
        return False
    own = Filter(label=route.label, source=route.source, classifier=route.classifier)
    return _all(own, event) and _all(route.only, event) and not _any(route.except_, event)


def late(route: Route, event: Label, now: datetime) -> tuple[str, str] | None:
    """Return that it is too late to begin the action of an event, as a word and a sentence, or None if it is not."""
    age = (now - moment(event.time)).total_seconds()
    if age <= route.max_age:
        return None
    return "late", f"{_span(age)} old, max_age is {_span(route.max_age)}"


def moment(time: str) -> datetime:
    """Return the time of an event (RFC 3339). Raises ValueError."""
    return datetime.fromisoformat(time)


def _span(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _matches(chosen: Filter, event: Label) -> list[bool]:
    pairs: list[tuple[Any, str]] = [
        (chosen.label, event.label),
        (chosen.source, event.source),
        (chosen.classifier, event.classifier),
    ]
    return [name in listed(names) for names, name in pairs if names]


def _all(chosen: Filter, event: Label) -> bool:
    return all(_matches(chosen, event))


def _any(chosen: Filter, event: Label) -> bool:
    return any(_matches(chosen, event))
