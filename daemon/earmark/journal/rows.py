"""An event as a row of the journal, and which rows a filter may choose."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import msgspec

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.protocol.events import Label, Numbered, Result, decode, type_of

_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)


class Kind(NamedTuple):
    """What filters choose by. There are few kinds, so rows name theirs by a number, and one index serves all filters.

    `label` is that of a label event and the top label of a result. A word is empty where the event has none.
    """

    type: str
    source: str
    classifier: str
    label: str


class Row(NamedTuple):
    """An event as it is stored. `time` is in ms since 1970, `score` what `min_score` judges by."""

    seq: int
    time: int
    kind: Kind
    score: float | None
    text: bytes


def row(text: bytes, on_score: float | None) -> Row | None:
    """Return the row for an event, or None if its type is not known: a newer version has written it."""
    event = event_of(text)
    if event is None:
        return None
    label, score = "", None
    if isinstance(event, Label):
        label, score = event.label, on_score if event.state == "off" else event.score
    elif isinstance(event, Result) and event.result:
        label, score = event.result[0].label, event.result[0].score
    kind = Kind(type_of(event), getattr(event, "source", ""), getattr(event, "classifier", ""), label)
    return Row(event.seq, milliseconds(datetime.fromisoformat(event.time)), kind, score, text)


def published(text: bytes, score: float | None) -> Published | None:
    """Return the event of a row, or None if its type is not known."""
    event = event_of(text)
    if event is None:
        return None
    return Published(event, text, score if isinstance(event, Label) and event.state == "off" else None)


def event_of(text: bytes) -> Numbered | None:
    """Return the numbered event in `text`, or None if it is something else."""
    try:
        event = decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    return event if isinstance(event, Numbered) else None


def milliseconds(moment: datetime) -> int:
    """Return the whole milliseconds since 1970."""
    return (moment - _BEGINNING) // _MILLISECOND


def chosen(filter: Subscription, kinds: Iterable[Kind]) -> set[Kind]:
    """Return the kinds that may have events for the filter. It may be too many: the filter itself has the last word."""
    return {kind for kind in kinds if _may_choose(filter, kind)}


def _may_choose(filter: Subscription, kind: Kind) -> bool:
    return (
        kind.type in filter.types
        and (not filter.sources or not kind.source or kind.source in filter.sources)
        and (not filter.classifiers or not kind.classifier or kind.classifier in filter.classifiers)
        and (not filter.labels or not kind.label or kind.label in filter.labels)
    )
