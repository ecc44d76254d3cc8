"""What is the case now, as retained messages, and the messages by which an event changes it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from earmark.broadcast.sink import Published
from earmark.broadcast.throttle import Throttle
from earmark.protocol.events import Label, Result, Source, SourceInfo, SourceState
from earmark.publish.layout import Heard, Layout
from earmark.publish.outbox import Kind, Message
from earmark.publish.topics import Topics

ONLINE, OFFLINE = b"online", b"offline"
ON, OFF = b"ON", b"OFF"
SECOND = 1_000_000_000  # nanoseconds

ABSENT: frozenset[SourceState] = frozenset({"starting", "stalled", "lost", "paused", "stopped"})
"""The states in which a source delivers no sound, so that nothing is known of its labels."""

Pair = tuple[str, str]
"""A source and a classifier."""


class Present:
    """What is on, what was said last, and how the sources are.

    The caller asks for messages: changes() after each event, whole() where the receiver may know nothing. `every` is
    the least time between two results of a source and classifier, in seconds; None means no results.
    """

    def __init__(self, topics: Topics, every: float | None) -> None:
        self.layout = Layout()
        self._topics = topics
        self._every = every
        self._throttles: dict[Pair, Throttle] = {}  # one for each, because no order of their numbers is promised
        self._sources: dict[str, dict[str, str]] = {}
        self._on: dict[Pair, dict[str, Label]] = {}  # by id, the newest last
        self._said: dict[Pair, Label] = {}  # the last command
        self._heard: dict[Pair, Heard] = {}

    def lay_out(self, layout: Layout, sources: Iterable[SourceInfo]) -> None:
        """Begin, or go on after a change of the configuration, with these sources and classifiers."""
        self.layout = layout
        self._heard = {(each.source, each.classifier): each for each in layout.heard}
        self._sources = {each.name: _told(each.state, each.detail, each.device) for each in sources}
        self._throttles = {pair: each for pair, each in self._throttles.items() if pair in self._heard}
        self._on = {pair: labels for pair, labels in self._on.items() if pair in self._heard}
        self._said = {pair: label for pair, label in self._said.items() if pair in self._heard}

    def changes(self, published: Published, now: int) -> list[Message]:
        """Return what an event changes. `now` is in nanoseconds."""
        match published.event:
            case Label() as label:
                return list(self._of_label(label, published.text, now))
            case Result() as result if self._every is not None and not result.suppressed:
                pair = (result.source, result.classifier)
                throttle = self._throttles.setdefault(pair, Throttle(self._every))
                if pair in self._heard and throttle.offer(result.seq, pair, published.text, now / SECOND):
                    return [self._result(pair, published.text, now)]
            case Source() as source:
                self._sources[source.source] = _told(source.state, source.detail, source.device)
                return list(self._of_source(source.source))
        return []

    def due(self, now: int) -> list[Message]:
        """Return the results that came too soon after others and whose time has come."""
        held = [each for throttle in self._throttles.values() for each in throttle.due(now / SECOND)]
        return [self._result(each.key, each.frame, now) for each in held if each.key in self._heard]

    def next_due(self) -> float | None:
        """Return when due() will have something, in seconds, or None."""
        times = [time for throttle in self._throttles.values() if (time := throttle.next_due()) is not None]
        return min(times, default=None)

    def whole(self) -> list[Message]:
        """Return all that is the case, labels that are off among it."""
        found = [message for source in self.layout.sources for message in self._of_source(source)]
        for heard in self.layout.heard:
            found.append(self._current(heard))
            found += [self._label(heard, label) for label in heard.shown]
        return found

    def end(self) -> list[Message]:
        """Turn every label off and every source away, and return what that changes."""
        pairs = [pair for pair, labels in self._on.items() if labels]
        self._on.clear()
        found = [Message(self._topics.availability(each), OFFLINE, Kind.STATE) for each in self.layout.sources]
        for heard in (self._heard[pair] for pair in pairs if pair in self._heard):
            found += [*(self._label(heard, label) for label in heard.shown), self._current(heard)]
        return found

    def topics(self) -> list[str]:
        """Return the topics of all states."""
        return [message.topic for message in self.whole()]

    def _of_label(self, label: Label, text: bytes, now: int) -> Iterator[Message]:
        pair = (label.source, label.classifier)
        heard = self._heard.get(pair)
        if label.state == "on" and label.end is not None:
            if heard is not None:
                self._said[pair] = label
                yield Message(self._topics.event(*pair), _as_event(label, text), Kind.EVENT, now)
        elif label.state == "on":
            self._on.setdefault(pair, {})[label.id] = label
        else:
            self._on.get(pair, {}).pop(label.id, None)
        if heard is not None:
            if label.label in heard.shown:
                yield self._label(heard, label.label)
            yield self._current(heard)

    def _of_source(self, source: str) -> Iterator[Message]:
        told = self._sources.get(source)
        if told is not None and source in self.layout.sources:
            there = ONLINE if told["state"] not in ABSENT else OFFLINE
            yield Message(self._topics.availability(source), there, Kind.STATE)
            yield Message(self._topics.state(source), msgspec.json.encode(told), Kind.STATE)

    def _label(self, heard: Heard, label: str) -> Message:
        on = self._on.get((heard.source, heard.classifier), {})
        payload = ON if any(each.label == label for each in on.values()) else OFF
        return Message(self._topics.label(heard.source, heard.classifier, label), payload, Kind.STATE)

    def _current(self, heard: Heard) -> Message:
        pair = (heard.source, heard.classifier)
        on = list(self._on.get(pair, {}).values())
        newest = self._said.get(pair) if heard.utterance else on[-1] if on else None
        told: dict[str, object] = {"label": None, "score": None, "since": None}
        if newest is not None:
            told = {"label": newest.label, "score": newest.score, "since": newest.start_time or newest.time}
        if not heard.utterance:
            told["on"] = [each.label for each in on]
        return Message(self._topics.current(*pair), msgspec.json.encode(told), Kind.STATE)

    def _result(self, pair: Pair, text: bytes, now: int) -> Message:
        return Message(self._topics.result(*pair), text, Kind.RESULT, now)


def _told(state: SourceState, detail: str, device: str) -> dict[str, str]:
    return {"state": state, "detail": detail, "device": device}


def _as_event(label: Label, text: bytes) -> bytes:
    """Return the JSON of the event, with the field in which Home Assistant looks for the type of an event."""
    return text[:-1] + b',"event_type":' + msgspec.json.encode(label.label) + b"}"
