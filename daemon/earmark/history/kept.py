"""What a part that keeps events can do, and what one may ask of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription

EVERYTHING = Subscription()
"""What passes without a filter."""


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """A question about the past, for one page of at most `limit` events.

    With an `identity` it is about the events of the label with that id.
    With `since` the page holds events with higher numbers, in order. Without it the page holds the newest events,
    newest first, and with `before` the newest of those with lower numbers. `from_time` is included and `to_time` is
    not; both have a time zone. Of `filter` only that counts which chooses events: see Subscription.matches().
    """

    filter: Subscription = EVERYTHING
    from_time: datetime | None = None
    to_time: datetime | None = None
    since: int | None = None
    before: int | None = None
    limit: int = 100
    identity: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Events that match, whole as they were published, and where the next page begins.

    `next` is the `since` or the `before` of the next page, and None where nothing more can follow. A page may hold
    fewer events than its limit, even none, and still have a `next`: it looks at a bounded number of events.
    """

    events: tuple[Published, ...]
    next: int | None


class Kept(Protocol):
    """Events that can still be had. Everything here is called on the event loop, and waits for no disk there."""

    @property
    def epoch(self) -> str:
        """The name of the numbering."""

    @property
    def newest(self) -> int:
        """The number of the newest event; 0 if there was none."""

    @property
    def oldest(self) -> int:
        """The number of the oldest event that is kept; newest + 1 if none is."""

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        """Return the first events with numbers above `seq`, at most `limit`, in order.

        Numbers that are not kept are missing, and so are, at the end, those that cannot be read yet.
        """

    async def search(self, query: HistoryQuery) -> Page:
        """Return one page of the events that match."""
