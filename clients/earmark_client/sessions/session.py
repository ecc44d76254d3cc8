"""A session: what the events of a stream tell about labels over time. Pure; the caller passes the time in.

Times are seconds of UTC (POSIX). Each source and classifier has a Timeline. While a source does not listen, or events
are missing, the clocks of its labels stand still: that time is a Hole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from earmark.protocol.events import (
    ClassifierInfo,
    Config,
    Event,
    Gap,
    Hello,
    Label,
    Level,
    Loss,
    Result,
    Source,
    SourceInfo,
    Tick,
)
from earmark_client.sessions.stretches import Hole
from earmark_client.sessions.timeline import KEPT, Timeline

UNHEARD = ("starting", "muted", "stalled", "lost", "paused", "stopped")
"""The states of a source in which nothing is heard."""
MISSED = "events were missed"
NO_SIGN = "no sign of the daemon"


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment that somebody marked, with a note, which may be empty."""

    time: float
    note: str = ""


@dataclass(frozen=True, slots=True)
class Lost:
    """Sound or events that are missing: when, of which source (empty: of all), and why."""

    start: float
    end: float
    source: str
    cause: str


def seconds(time: str) -> float | None:
    """Return an event's time (RFC 3339) as seconds, or None if it has none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError):
        return None


def utc(time: float) -> str:
    """Return the time as an event has it (RFC 3339, ms)."""
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(slots=True)
class SourceNow:
    """A source: its state, and its newest level."""

    name: str
    state: str = "starting"
    detail: str = ""
    device: str = ""
    level: Level | None = None


class Session:
    """Takes the events of a stream in their order, and keeps what is shown and reported.

    `sources` and `classifiers` are those that are wanted; all if empty.
    """

    def __init__(self, begin: float, sources: Collection[str] = (), classifiers: Collection[str] = ()) -> None:
        self.begin = begin
        self.heard = begin  # the time of the newest event
        self.sources: dict[str, SourceNow] = {}
        self.timelines: dict[tuple[str, str], Timeline] = {}
        self.thresholds: dict[str, dict[str, float]] = {}  # by classifier and label
        self.marks: list[Mark] = []
        self.losses: deque[Lost] = deque(maxlen=KEPT)
        self.lost = 0.0  # seconds of sound, over all sources and classifiers
        self.gaps = 0
        self.missed = 0  # events
        self.version = ""
        self._wanted_sources, self._wanted_classifiers = frozenset(sources), frozenset(classifiers)
        self._gap_since: float | None = None
        self._greeting: Hello | None = None  # until the next event
        self._greeted = False  # whether there was a hello

    def mark(self, time: float, note: str = "") -> Mark:
        """Keep a moment."""
        mark = Mark(time, note)
        self.marks.append(mark)
        return mark

    def take(self, event: Event, now: float) -> None:
        """Take the next event. `now` is when it came, and stands for the time of events that have none."""
        before = self.heard
        time = (
            seconds(event.time) if isinstance(event, Result | Label | Source | Loss | Config | Level | Tick) else None
        )
        at = now if time is None else time
        if time is not None:
            self._ends_gap(at)
            self.heard = max(self.heard, at)
        match event:
            case Hello():
                self._greets(event, at)
            case Config():
                self._knows(event.classifiers, at)
                self._turn_all(event.sources, at)
            case Result() if not event.suppressed:
                self._result(event, at)
            case Label():
                self._label(event, at)
            case Source():
                self._source(event, at, before)
            case Loss():
                self._loss(event, at)
            case Level():
                self._known(event.source).level = event
            case Gap():
                self._gap(event)
            case _:
                pass

    def of(self, source: str) -> list[Timeline]:
        """Return the timelines of a source."""
        return [timeline for timeline in self.timelines.values() if timeline.source == source]

    def timeline(self, source: str, classifier: str) -> Timeline | None:
        """Return a timeline, made where it is new. None if it is not wanted."""
        if (self._wanted_sources and source not in self._wanted_sources) or (
            self._wanted_classifiers and classifier not in self._wanted_classifiers
        ):
            return None
        key = (source, classifier)
        if key not in self.timelines:
            self._known(source)
            self.timelines[key] = Timeline(source, classifier, self.begin)
        return self.timelines[key]

    def _known(self, name: str) -> SourceNow:
        return self.sources.setdefault(name, SourceNow(name, "listening"))

    def _greets(self, hello: Hello, at: float) -> None:
        """Take the states of the sources at the beginning and behind a gap; else the stream tells them in order."""
        self.version = hello.version
        if not self._greeted:
            self.begin = self.heard = max(self.begin, at)
        self._knows(hello.classifiers, self.heard)
        if not self._greeted:
            self._turn_all(hello.sources, self.heard)
        self._greeted = True
        self._greeting = hello

    def _knows(self, classifiers: Iterable[ClassifierInfo], at: float) -> None:
        """Take the classifiers that there are. Those that are gone keep their past, and hear nothing."""
        there: set[tuple[str, str]] = set()
        for info in classifiers:
            for source in info.sources:
                new = (source, info.name) not in self.timelines
                if (timeline := self.timeline(source, info.name)) is not None:
                    there.add((source, info.name))
                    timeline.begin = at if new else timeline.begin
                    timeline.labels, timeline.model = info.labels, info.model
                    timeline.mode, timeline.gate = info.mode, info.gate
                    timeline.window, timeline.hop = info.window, info.hop
        for key, timeline in self.timelines.items():
            if key in there and timeline.gone:
                timeline.closes_hole(at)
            elif key not in there and not timeline.gone:
                timeline.opens_hole(at, "no longer configured")
            timeline.gone = key not in there

    def _turn_all(self, sources: Iterable[SourceInfo], at: float) -> None:
        for info in sources:
            if not self._wanted_sources or info.name in self._wanted_sources:
                self._known(info.name).device = info.device
                self._turns(info.name, info.state, info.detail, at)

    def _turns(self, source: str, state: str, detail: str, at: float) -> None:
        known = self._known(source)
        known.state, known.detail = state, detail
        for timeline in self.of(source):
            if timeline.gone:
                continue
            if state not in UNHEARD:
                timeline.closes_hole(at)
            elif timeline.open_hole is None or timeline.open_hole.why != state:
                timeline.opens_hole(at, state)

    def _source(self, event: Source, at: float, before: float) -> None:
        if self._wanted_sources and event.source not in self._wanted_sources:
            return
        known = self._known(event.source)
        known.device = event.device or known.device
        # A source that names its device was opened. If no word of an end came before, the daemon had been killed
        if (event.device or event.state == "starting") and known.state not in UNHEARD:
            for timeline in self.of(event.source):
                timeline.opens_hole(before, NO_SIGN)
        self._turns(event.source, event.state, event.detail, at)

    def _result(self, event: Result, at: float) -> None:
        if (timeline := self.timeline(event.source, event.classifier)) is not None:
            end = seconds(event.end_time)
            timeline.score({score.label: score.score for score in event.result}, at if end is None else end)

    def _label(self, event: Label, at: float) -> None:
        timeline = self.timeline(event.source, event.classifier)
        if timeline is None:
            return
        start, end = seconds(event.start_time), seconds(event.end_time)
        best = max(timeline.peaks.get(event.label, 0.0), event.peak or 0.0, event.score or 0.0)
        timeline.peaks[event.label] = best
        if event.state == "on" and event.end is None:
            timeline.begins(event.id, event.label, at if start is None else start)
            return
        length = 0.0 if event.end is None else event.end - event.start
        end = at if end is None else end
        timeline.ends(event.id, event.label, end - length if start is None else start, end)

    def _loss(self, event: Loss, at: float) -> None:
        start, end = seconds(event.start_time), seconds(event.end_time)
        end = at if end is None else end
        start = end - (event.end - event.start) if start is None else start
        timelines = [timeline for timeline in self.of(event.source) if event.classifier in ("", timeline.classifier)]
        for timeline in timelines:
            timeline.hole(Hole(start, end, f"sound was lost: {event.cause}"))
        if timelines:
            self.lost += end - start
            self.losses.append(Lost(start, end, event.source, event.cause))

    def _gap(self, event: Gap) -> None:
        """Begin a hole at the newest event. It ends with the next one."""
        self.gaps += 1
        self.missed += event.missing
        if self._gap_since is None:
            self._gap_since = self.heard
            for timeline in self.timelines.values():
                timeline.forgets(self.heard)

    def _ends_gap(self, at: float) -> None:
        greeting, self._greeting = self._greeting, None
        if self._gap_since is None:
            return
        if greeting is not None:
            self._turn_all(greeting.sources, at)
        since, self._gap_since = self._gap_since, None
        if at > since:
            for timeline in self.timelines.values():
                timeline.hole(Hole(since, at, MISSED))
            self.losses.append(Lost(since, at, "", MISSED))
