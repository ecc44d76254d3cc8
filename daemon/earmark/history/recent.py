"""The newest events in memory: enough for a client that was away for a moment, without any journal."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence
from itertools import islice

from earmark.broadcast.sink import Published
from earmark.history.kept import HistoryQuery, Page
from earmark.history.pages import page

MAX_BYTES = 4 * 1024 * 1024  # of text; the events themselves are two to three times as large


class Recent:
    """The newest `events` events at most, and `max_bytes` of their text. A Sink, and Kept.

    `epoch` is the name of the numbering, and `newest` the number that it goes on from. From the number `oldest` on
    nothing is missing here; it is newest + 1 if nothing is kept.
    """

    def __init__(self, epoch: str, newest: int = 0, events: int = 2000, max_bytes: int = MAX_BYTES) -> None:
        self.epoch = epoch
        self.newest = newest
        self.oldest = newest + 1
        self._most = events
        self._max_bytes = max_bytes
        self._events: deque[Published] = deque()  # of rising numbers
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._events)

    def publish(self, published: Published) -> None:
        """Keep the event, and forget the oldest ones where there are too many."""
        if published.event.seq != self.newest + 1:
            self.skip(published.event.seq - 1)
        self.newest = published.event.seq
        self._events.append(published)
        self._bytes += len(published.text)
        while len(self._events) > self._most or self._bytes > self._max_bytes:
            self._forget(1)

    def skip(self, to: int) -> None:
        """Go on behind `to`, because events up to it are missing. What is older is forgotten."""
        self._forget(len(self._events))
        self.newest, self.oldest = to, to + 1

    def pass_over(self, to: int) -> None:
        """Go on behind `to`, up to which there is no event that would belong here. Nothing is missing."""
        self.newest = to

    def since(self, seq: int, limit: int | None = None) -> list[Published] | None:
        """Return the events with numbers above `seq`, at most `limit`, or None if memory does not reach back so far."""
        if seq + 1 < self.oldest:
            return None
        skip = bisect_right(self._events, seq, key=_number)
        return list(islice(self._events, skip, None if limit is None else skip + limit))

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        """Return the first events with numbers above `seq`, at most `limit`, in order."""
        return self.since(max(seq, self.oldest - 1), limit) or []

    async def search(self, query: HistoryQuery) -> Page:
        """Return one page of the events that match."""
        return page(self._events, query)

    def _forget(self, count: int) -> None:
        for _ in range(count):
            forgotten = self._events.popleft()
            self._bytes -= len(forgotten.text)
            self.oldest = forgotten.event.seq + 1


def _number(published: Published) -> int:
    return published.event.seq
