"""The past of a daemon's events, page by page. Nothing here waits, connects or knows the time."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import msgspec

from earmark.errors import SubscriptionError
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import Event, decode
from earmark_client.address import Filter, as_text
from earmark_client.calls import Call, Steps, ask, decoded
from earmark_client.following.position import Position
from earmark_client.request import Response

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
    """An answer: the events as they are, where they are kept, and the cursor of the next page, if there is one."""

    epoch: str
    events: list[msgspec.Raw]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """A page as CSV: the names of the columns, and the rows."""

    names: list[str]
    rows: list[list[str]]


class Pages:
    """The pages that answer a question, one after the other. `now` is the time to which relative times belong."""

    def __init__(self, question: Question, now: datetime) -> None:
        self.unknown = 0  # events of types that this client does not know
        self._left = question.limit
        self._over = question.limit is not None and question.limit <= 0
        self._parameters: dict[str, Filter] = {
            name: value for name, value in question.filters.items() if value is not None
        }
        for name, moment in (("from", question.from_), ("to", question.to)):
            if moment is not None:
                self._parameters[name] = rfc3339(moment, now, name)
        if question.since is not None:
            self._parameters["since"] = str(question.since)

    def next(self) -> Steps[list[Event] | None]:
        """Ask for the events of the next page. Returns None if there is no page; one may be empty."""
        found = yield from self.next_raw()
        return None if found is None else [event for raw in found if (event := self.event(raw)) is not None]

    def next_raw(self) -> Steps[list[msgspec.Raw] | None]:
        """Ask for the same as JSON."""
        if self._over:
            return None
        page = decoded((yield from self._fetch("json")), Page, EVENTS)
        self._turn(len(page.events), page.next)
        return page.events

    def next_table(self) -> Steps[Table | None]:
        """Ask for the same as a table."""
        if self._over:
            return None
        response = yield from self._fetch("csv")
        names, *rows = csv.reader(io.StringIO(response.body.decode(), newline=""))
        self._turn(len(rows), response.headers.get("x-earmark-next"))
        return Table(names, rows)

    def event(self, raw: msgspec.Raw) -> Event | None:
        """Return the event, or None for one that only a newer client knows."""
        try:
            return decode(bytes(raw))
        except msgspec.ValidationError:
            self.unknown += 1
            return None

    def _fetch(self, form: str) -> Steps[Response]:
        limit = PAGE if self._left is None else min(PAGE, self._left)
        parameters = self._parameters | {"limit": limit, "format": form}
        query = urlencode({name: as_text(value) for name, value in parameters.items()})
        return (yield from ask(Call("GET", f"{EVENTS}?{query}", timeout=TIMEOUT)))

    def _turn(self, count: int, cursor: str | None) -> None:
        if self._left is not None:
            self._left -= count
        self._over = cursor is None or (self._left is not None and self._left <= 0)
        if cursor is not None:
            self._parameters["cursor"] = cursor


def beginning() -> Steps[str]:
    """Ask for the position before all events: what is behind it comes in order."""
    page = decoded((yield from ask(Call("GET", f"{EVENTS}?limit=1", timeout=TIMEOUT))), Page, EVENTS)
    return f"{page.epoch}:0"


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
