"""The past of a daemon's events, page by page. Nothing here waits, connects or knows the time."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import msgspec

from earmark.errors import SubscriptionError
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Event, decode
from earmark_client.address import Filter, as_text
from earmark_client.calls import Call, Steps, ask, decoded
from earmark_client.position import Position

PAGE = 500  # events of one request, at most
TIMEOUT = 30.0  # seconds for one page
_AGO = re.compile(r"-(\d+(?:\.\d+)?)(s|m|h|d)")
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}

Moment = datetime | str
"""A time: with a time zone (RFC 3339), local without one, or relative to now, such as `-1h` (units s, m, h, d)."""


@dataclass(frozen=True, slots=True)
class Question:
    """What is wanted of the past: at most `limit` events that match, newest first, or in order those after `since`."""

    filters: Mapping[str, Filter | None] = field(default_factory=dict)
    from_: Moment | None = None
    to: Moment | None = None
    since: Position | str | None = None
    limit: int | None = None


class Page(msgspec.Struct):
    """An answer: the events as they are, and the cursor of the next page, if there is one."""

    events: list[msgspec.Raw]
    next: str | None = None


class Pages:
    """The pages that answer a question, one after the other. `now` is the time to which relative times belong."""

    def __init__(self, question: Question, now: datetime) -> None:
        self._left = question.limit
        self._parameters: dict[str, Filter] = {
            name: value for name, value in question.filters.items() if value is not None
        }
        for name, moment in (("from", question.from_), ("to", question.to)):
            if moment is not None:
                self._parameters[name] = rfc3339(moment, now, name)
        if question.since is not None:
            self._parameters["since"] = str(question.since)
        self._over = question.limit is not None and question.limit <= 0
        self.unknown = 0  # events of types that this client does not know

    def next(self) -> Steps[list[Event] | None]:
        """Ask for the next page. Returns None if there is none; a page may be empty."""
        if self._over:
            return None
        page = yield from self.fetch()
        events = [event for raw in page.events if (event := self._event(raw)) is not None]
        if self._left is not None:
            self._left -= len(page.events)
        self._over = page.next is None or (self._left is not None and self._left <= 0)
        if page.next is not None:
            self._parameters["cursor"] = page.next
        return events

    def fetch(self) -> Steps[Page]:
        """Ask for the page at the cursor."""
        limit = PAGE if self._left is None else min(PAGE, self._left)
        query = urlencode({name: as_text(value) for name, value in (self._parameters | {"limit": limit}).items()})
        response = yield from ask(Call("GET", f"{EVENTS}?{query}", timeout=TIMEOUT))
        return decoded(response, Page, EVENTS)

    def _event(self, raw: msgspec.Raw) -> Event | None:
        try:
            return decode(bytes(raw))
        except msgspec.ValidationError:  # an event of a newer daemon
            self.unknown += 1
            return None


def rfc3339(moment: Moment, now: datetime, name: str) -> str:
    """Return the time in UTC as the daemon reads it. Raises SubscriptionError for what is no time."""
    if isinstance(moment, datetime):
        time = moment
    elif found := _AGO.fullmatch(moment.strip()):
        time = now - timedelta(**{_UNITS[found[2]]: float(found[1])})
    elif moment.strip() == "now":
        time = now
    else:
        try:
            time = datetime.fromisoformat(moment.strip())
        except ValueError:
            raise SubscriptionError(
                f"{name}: {moment!r} is no time; write -90s, -15m, -1h, -7d, or 2026-11-22T07:31:05Z"
            ) from None
    return time.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def as_is(page: Page) -> list[dict[str, Any]]:
    """Return the events of a page as JSON has them."""
    return [msgspec.json.decode(raw) for raw in page.events]
