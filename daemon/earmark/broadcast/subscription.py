"""The filter of a subscriber, from the query of its handshake or from a `subscribe` message."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import msgspec

from earmark.broadcast.sink import Published
from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean
from earmark.protocol.events import (
    CONNECTION_TYPES,
    DEFAULT_TYPES,
    TYPES,
    Config,
    Label,
    Level,
    Loss,
    Numbered,
    Passing,
    Result,
    Source,
    encode,
    type_of,
)
from earmark.protocol.names import split

Shape = Literal["event", "api"]
Policy = Literal["oldest", "latest", "close"]
Form = tuple[Shape, int | None]
"""The shape of an event's text, and the labels that are left of a result; None: all."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """A filter. It is hashable, because subscribers with equal filters share one encoded frame.

    Empty sets mean all. `every` is in seconds. It and `policy` are only carried here, because they depend on the past
    of each subscriber: see `broadcast/throttle.py` and `broadcast/backlog.py`.

    `labels` and `min_score` judge a result by its top label, and a label event by its label and the score with which
    it went on. An `off` is judged like its `on`, so that pairs stay whole.
    """

    sources: frozenset[str] = frozenset()
    classifiers: frozenset[str] = frozenset()
    types: frozenset[str] = DEFAULT_TYPES
    labels: frozenset[str] = frozenset()
    min_score: float | None = None
    top_k: int | None = None  # labels in a result; None: as published
    every: float = 0.0
    shape: Shape = "event"
    policy: Policy = "oldest"

    def select(self, published: Published) -> bytes | None:
        """Return the text to send for the event, or None if this subscription leaves it out.

        Where the subscription changes nothing, that is the text which is encoded already.
        """
        return self.text(published) if self.matches(published) else None

    def form(self, event: Numbered) -> Form:
        """Return what the text of an event that is chosen depends on, besides the event."""
        if not isinstance(event, Result):
            return "event", None
        return self.shape, self.top_k if self.top_k is not None and self.top_k < len(event.result) else None

    def text(self, published: Published) -> bytes:
        """Return the text to send for an event that is chosen. It is the same for each form()."""
        event = published.event
        shape, top_k = self.form(event)
        if not isinstance(event, Result) or (shape == "event" and top_k is None):
            return published.text
        scores = event.result if top_k is None else event.result[:top_k]
        return msgspec.json.encode(scores) if shape == "api" else encode(msgspec.structs.replace(event, result=scores))

    def matches(self, published: Published) -> bool:
        """Return whether this subscription chooses the event. `top_k`, `every` and `policy` have no say in it."""
        event = published.event
        return (self.shape == "event" or isinstance(event, Result)) and self._wants(event, published.on_score)

    def takes(self, event: Passing) -> bool:
        """Return whether this subscription asks for an event without a number."""
        if self.shape == "api" or type_of(event) not in self.types:
            return False
        return not isinstance(event, Level) or not self.sources or event.source in self.sources

    def _wants(self, event: Numbered, on_score: float | None) -> bool:
        match event:
            case Result(result=scores):
                top = scores[0] if scores else None
                return self._covers(type_of(event), event.source, event.classifier) and self._passes(
                    top.label if top else "", top.score if top else -math.inf
                )
            case Label():
                score = on_score if event.state == "off" else event.score
                return self._covers("label", event.source, event.classifier) and self._passes(event.label, score)
            case Source():
                return self._covers("source", event.source)
            case Loss():
                return self._covers("loss", event.source, event.classifier)
            case Config():
                return "config" in self.types
            case _:
                assert_never(event)

    def _covers(self, kind: str, source: str, classifier: str = "") -> bool:
        return (
            kind in self.types
            and (not self.sources or source in self.sources)
            and (not self.classifiers or not classifier or classifier in self.classifiers)
        )

    def _passes(self, label: str, score: float | None) -> bool:
        return (not self.labels or label in self.labels) and (
            self.min_score is None or score is None or score >= self.min_score
        )


def parse(query: Mapping[str, object] | Iterable[tuple[str, object]], also: Sequence[str] = ()) -> Subscription:
    """Return the subscription for `query`, whose values are text (from a URL) or JSON values (from a message).
    `also` are parameters that the caller has taken out of the query, for the sentence about one that is unknown.

    Lists are text as protocol.names splits it, or JSON arrays, and a repeated list adds up.
    Raises SubscriptionError with a sentence that names the parameter.
    """
    given: dict[str, list[object]] = {}
    for name, value in query.items() if isinstance(query, Mapping) else query:
        if name not in _READERS:
            raise SubscriptionError(_unknown(name, also))
        given.setdefault(name, []).append(value)
    wanted: dict[str, Any] = {name: _READERS[name](name, values) for name, values in given.items()}
    return Subscription(**wanted)


def _unknown(name: str, also: Sequence[str]) -> str:
    return f"{name[:64]}: no such parameter; {_known(name, [*_READERS, *also])}"


def _known(word: str, known: Iterable[str]) -> str:
    """Return all that is known, and before it what `word` may have meant."""
    hint = did_you_mean(word, known)
    return f"{hint}{' ' if hint else ''}known are {', '.join(known)}"


def _names(name: str, values: Sequence[object]) -> frozenset[str]:
    found: set[str] = set()
    for value in values:
        try:
            parts = split(value) if isinstance(value, str) else _stripped(value)
        except ValueError as error:
            raise SubscriptionError(f"{name}: {_shown(value)}: {error}") from None
        if parts is None:
            raise SubscriptionError(f"{name}: {_shown(value)} is not a list of names")
        found.update(part for part in parts if part)
    return frozenset(found)


def _stripped(value: object) -> list[str] | None:
    """Return the names in a JSON array, or None if it is something else."""
    if not isinstance(value, list | tuple) or not all(isinstance(part, str) for part in value):
        return None
    return [part.strip() for part in value]


def _types(name: str, values: Sequence[object]) -> frozenset[str]:
    types = _names(name, values)
    for kind in sorted(types - TYPES - CONNECTION_TYPES):
        raise SubscriptionError(f"{name}: no such type {_shown(kind)}; {_known(kind, sorted(TYPES))}")
    # the hub sends the messages of the connection past every filter; with them alone, nothing else passes
    return types - CONNECTION_TYPES or (CONNECTION_TYPES if types else DEFAULT_TYPES)


def _number(name: str, values: Sequence[object]) -> float:
    value = _single(name, values)
    try:
        number = float(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else math.nan
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SubscriptionError(f"{name}: {_shown(value)} is not a number")
    return number


def _seconds(name: str, values: Sequence[object]) -> float:
    number = _number(name, values)
    if number < 0:
        raise SubscriptionError(f"{name}: {_shown(values[0])} is not a time in seconds, 0 or more")
    return number


def _count(name: str, values: Sequence[object]) -> int:
    value = _single(name, values)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 10:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise SubscriptionError(f"{name}: {_shown(value)} is not a count, 0 or more")


def _choice(*known: str) -> Callable[[str, Sequence[object]], str]:
    def read(name: str, values: Sequence[object]) -> str:
        value = _single(name, values)
        if value in known:
            return str(value)
        raise SubscriptionError(f"{name}: {_shown(value)} is not known; {_known(str(value), known)}")

    return read


def _single(name: str, values: Sequence[object]) -> object:
    if len(values) != 1:
        raise SubscriptionError(f"{name}: given {len(values)} times, and one value is wanted")
    return values[0]


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 64 else text[:61] + "..."


_READERS: dict[str, Callable[[str, Sequence[object]], object]] = {
    "sources": _names,
    "classifiers": _names,
    "types": _types,
    "labels": _names,
    "min_score": _number,
    "top_k": _count,
    "every": _seconds,
    "shape": _choice("event", "api"),
    "policy": _choice("oldest", "latest", "close"),
}
