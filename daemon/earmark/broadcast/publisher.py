"""From drafts to events: each gets its number and its time, is encoded once, and goes to every sink.

Everything here runs on the event loop's thread.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from earmark.broadcast.sink import Published, Sink
from earmark.broadcast.steady_clock import SteadyClock
from earmark.detection.draft import Draft
from earmark.protocol.events import Config, Label, Numbered, Result, Source, encode

SECOND = 1_000_000_000  # nanoseconds

log = logging.getLogger(__name__)


class PublisherStats(msgspec.Struct, frozen=True):
    """Where the numbering stands, and how many events each failing sink did not take, by the sink's name."""

    epoch: str
    seq: int
    failed: dict[str, int]


class Publisher:
    """Number events and feed them to the sinks in the order in which these are given.

    `epoch` names this numbering, and a random one is chosen if none is given; it goes on from `seq`, the last number
    of it. `monotonic` is the clock of Draft.captured, in nanoseconds, and `utc` the wall clock. The times of events
    never run backwards, even if the wall clock does: see SteadyClock. A sink that raises is logged the first time,
    counted every time, and harms no other sink.
    """

    def __init__(
        self,
        sinks: Sequence[Sink],
        *,
        epoch: str | None = None,
        seq: int = 0,
        monotonic: Callable[[], int] = time.monotonic_ns,
        utc: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.epoch = epoch or secrets.token_hex(4)
        self.seq = seq  # of the newest event
        self._sinks = tuple(sinks)
        self._monotonic = monotonic
        self._clock = SteadyClock(utc, monotonic)
        self._failed: dict[str, int] = {}

    def publish(self, drafts: Sequence[Draft]) -> None:
        """Publish one event for each draft. Never waits and never raises for a sink's sake."""
        for draft in drafts:
            self.seq += 1
            event = self._stamped(draft)
            published = Published(event, encode(event), draft.on_score)
            for sink in self._sinks:
                try:
                    sink.publish(published)
                except Exception:
                    self._note_failure(sink, self.seq)

    def now(self) -> datetime:
        """Return the time of an event that is published now."""
        return self._clock.now()

    def stats(self) -> PublisherStats:
        """Return the newest number and the failures so far."""
        return PublisherStats(self.epoch, self.seq, dict(self._failed))

    def _stamped(self, draft: Draft) -> Numbered:
        """Return the event with its number, the time of now, and where its sound lies in UTC."""
        event, age = draft.event, self._monotonic() - draft.captured
        utc = self.now()
        changes: dict[str, object] = {"seq": self.seq, "time": rfc3339(utc)}
        if isinstance(event, Result | Label):
            changes["lag"] = round(age / SECOND, 4)
        if draft.at is not None and not isinstance(event, Source | Config):
            zero = utc - timedelta(microseconds=age // 1000, milliseconds=draft.at)  # the first sample of the stream
            changes["start_time"] = rfc3339(zero + timedelta(seconds=event.start))
            if event.end is not None:
                changes["end_time"] = rfc3339(zero + timedelta(seconds=event.end))
        return msgspec.structs.replace(event, **changes)

    def _note_failure(self, sink: Sink, seq: int) -> None:
        name = type(sink).__name__
        self._failed[name] = self._failed.get(name, 0) + 1
        if self._failed[name] == 1:
            log.exception("%s failed on event %d; further failures of it are counted only", name, seq)


def rfc3339(moment: datetime) -> str:
    """Return a UTC time as text with milliseconds: `2026-11-22T07:31:05.120Z`."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
