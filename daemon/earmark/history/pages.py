"""One page out of events that are in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from itertools import islice

from earmark.broadcast.sink import Published
from earmark.history.kept import HistoryQuery, Page


def page(events: Sequence[Published], query: HistoryQuery) -> Page:
    """Return the page of `events`, which are in the order of their numbers, that `query` asks for."""
    since, before = query.since, query.before
    ordered = iter(events) if since is not None else reversed(events)
    wanted = (
        published
        for published in ordered
        if (since is None or published.event.seq > since)
        and (before is None or published.event.seq < before)
        and matches(query, published)
    )
    found = tuple(islice(wanted, query.limit + 1))
    chosen = found[: query.limit]
    return Page(chosen, chosen[-1].event.seq if chosen and len(found) > len(chosen) else None)


def matches(query: HistoryQuery, published: Published) -> bool:
    """Return whether the event passes the filter and lies in the time of the query."""
    if query.identity and getattr(published.event, "id", "") != query.identity:
        return False
    if query.from_time is not None or query.to_time is not None:
        time = datetime.fromisoformat(published.event.time)
        if query.from_time is not None and time < query.from_time:
            return False
        if query.to_time is not None and time >= query.to_time:
            return False
    return query.filter.matches(published)
