"""The way of one subscriber from a position in the past to the live stream."""

from __future__ import annotations

import enum
from collections import deque
from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from earmark.broadcast.frames import text_frame
from earmark.broadcast.sink import Published
from earmark.broadcast.subscriber import Subscriber
from earmark.history.kept import Kept
from earmark.history.position import Position
from earmark.history.recent import Recent
from earmark.protocol.events import Gap, GapCause, Result, encode

STEP_EVENTS = 100  # looked at in one step: about a millisecond
STEP_BYTES = 64 * 1024  # written in one step, and one event more


class Losses(Protocol):
    """What is missing of a numbering in which not every number without an event is."""

    def last(self, first: int, to: int) -> int:
        """Return the last of these numbers that is missing, given that none of them has an event; 0 if none is."""

    def count(self, first: int, to: int) -> int:
        """Return how many events are missing under these numbers."""


class Step(enum.Enum):
    """How a step ended, and what is to be done before the next one."""

    MORE = "nothing; there is more to send"
    FULL = "wait until the transport has room"
    READ = "read what is kept after `position`, and give it to take()"
    LIVE = "let the subscriber into the live stream, before anything is published"


class Replay:
    """What a subscriber gets of the past: every event that matches, once and in order, and a gap for all others.

    The caller owns the clock and the turns. It calls step(), and does what the answer says. Each step does a bounded
    amount of work and writes a bounded number of bytes, and nothing while the transport is full; a page and what the
    transport holds is all that waits for the subscriber. The filter is the one that the subscriber has at the moment.
    `position` is the number up to which everything was sent or told to be missing; it only rises. A number without
    an event is missing; where `losses` are given, they tell which ones are, and what `kept` does not find is not there.
    """

    def __init__(
        self, subscriber: Subscriber, since: Position, kept: Kept, recent: Recent, losses: Losses | None = None
    ) -> None:
        self._subscriber = subscriber
        self._kept = kept
        self._recent = recent
        self._losses = losses
        self._read_until = 0  # by a reading that found nothing
        self._page: deque[Published] = deque()  # read and not yet sent
        self._is_of_this_epoch = since.epoch == kept.epoch
        self.position = since.seq if self._is_of_this_epoch else 0
        self.sent = 0  # events

    def step(self, now: float, utc: float) -> Step:
        """Send some events. `now` is the time of the clock of throttles, and `utc` the same moment in Unix time."""
        if self._subscriber.paused:
            return Step.FULL
        if not self._page:
            self._tell_what_is_missing()
            self._pass_over_nothing()
            recent = self._recent.since(self.position, STEP_EVENTS + 1)
            if recent is None:
                return Step.READ
            if _is_one_step(recent):
                for published in recent:
                    self._send(published, now, utc)
                self._send_held(now)
                return Step.LIVE
            self._page.extend(recent[:STEP_EVENTS])
        written = 0
        while written < STEP_BYTES and not self._subscriber.paused and (event := self._next()) is not None:
            written += self._send(event, now, utc)
        return Step.FULL if self._subscriber.paused else Step.MORE

    def take(self, events: Sequence[Published]) -> None:
        """Send these events next. They are those that are kept after `position`."""
        self._page.extend(events)

    def found_nothing(self, to: int) -> None:
        """Go on behind `to`, up to which nothing is kept after `position`. For a replay with `losses`."""
        self._read_until = to

    def skip(self) -> None:
        """Go on with what is in memory, because nothing before it can be read."""
        self._miss(self._recent.oldest - 1, "too_old")

    def _next(self) -> Published | None:
        """Return the next event of the page, and tell of those that are missing before it."""
        if not self._page:
            return None
        published = self._page.popleft()
        seq, losses = published.event.seq, self._losses
        last = min(seq, self._recent.oldest) - 1 if losses is None else losses.last(self.position + 1, seq - 1)
        if last > self.position:
            self._miss(last, "too_old")
        if losses is None and seq > self.position + 1:
            self._page.clear()  # it begins behind events that were never written but are still in memory
            return None
        return published

    def _tell_what_is_missing(self) -> None:
        oldest = min(self._kept.oldest, self._recent.oldest)
        if not self._is_of_this_epoch:
            self._is_of_this_epoch = True
            self._miss(oldest - 1, "epoch")
        elif oldest - 1 > self.position:
            self._miss(oldest - 1, "too_old")

    def _pass_over_nothing(self) -> None:
        if self._losses is not None and self._read_until > self.position:
            if (last := self._losses.last(self.position + 1, self._read_until)) > self.position:
                self._miss(last, "too_old")
            self.position = self._read_until

    def _miss(self, to: int, cause: GapCause) -> None:
        """Say that the events from here to `to` will not come."""
        subscriber, first = self._subscriber, self.position + 1
        events = self._losses.count(first, to) if self._losses is not None else 0
        gap = Gap(first, to, cause, events if events > to + 1 - first else 0)
        self.position = to
        if subscriber.throttle is not None:
            subscriber.throttle.passed(to)
        if subscriber.subscription.shape == "event":
            subscriber.write(text_frame(encode(gap)))

    def _send(self, published: Published, now: float, utc: float) -> int:
        """Send the event if it is wanted, and return how many bytes that took."""
        event, subscriber = published.event, self._subscriber
        self.position = event.seq
        text = subscriber.subscription.select(published)
        if text is None:
            return 0
        frame = text_frame(text)
        if subscriber.throttle is not None:
            at = min(now, now - utc + datetime.fromisoformat(event.time).timestamp())
            self._send_held(at)
            if not isinstance(event, Result):
                subscriber.throttle.passed(event.seq)
            elif not subscriber.throttle.offer(event.seq, (event.source, event.classifier), frame, at):
                return 0
        self._write(frame)
        return len(frame)

    def _send_held(self, until: float) -> None:
        """Send the results that the throttle has held and whose time comes by `until`, each at its time."""
        throttle = self._subscriber.throttle
        while throttle is not None and (due := throttle.next_due()) is not None and due <= until:
            for held in throttle.due(due):
                self._write(held.frame)

    def _write(self, frame: bytes) -> None:
        self._subscriber.write(frame)
        self.sent += 1


def _is_one_step(events: Sequence[Published]) -> bool:
    return len(events) <= STEP_EVENTS and (len(events) < 2 or sum(len(each.text) for each in events) <= STEP_BYTES)
