"""A request for a page of history: its parameters, and the form that the page shall have."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

from earmark.broadcast.subscription import parse
from earmark.errors import SubscriptionError
from earmark.hints import did_you_mean
from earmark.history.kept import HistoryQuery, Kept, Page
from earmark.history.position import Position, check_position, parse_position, quoted

Format = Literal["json", "ndjson", "csv"]

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
PARAMETERS = ("from", "to", "since", "cursor", "limit", "format", "id")
STREAM_ONLY = ("every", "policy", "shape")

MEDIA_TYPES: dict[str, Format] = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
}
"""Formats by the media types that an `Accept` header may name."""

_MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d:\d\d(?:\.\d{1,9})?)([Zz]|[+ -]\d\d:\d\d)",  # "+" in a URL may become " "
    re.ASCII,
)
_SECONDS = re.compile(r"\d{1,11}(\.\d{1,9})?", re.ASCII)
_AGO = re.compile(r"-(\d{1,9})([smhd])", re.ASCII)
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
_CURSOR = re.compile(r"(?P<way>older|newer)-(?P<position>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """What a client asks for. `goes_on` tells that it has a page already, and asks for the next one."""

    query: HistoryQuery
    format: Format
    goes_on: bool


def parse_request(
    parameters: Iterable[tuple[str, str]], accept: str, kept: Kept, now: Callable[[], datetime]
) -> HistoryRequest:
    """Return what the parameters of a URL and its `Accept` header ask for; `now` is UTC.

    Raises SubscriptionError with a sentence that names the parameter.
    """
    own: dict[str, str] = {}
    filters: list[tuple[str, str]] = []
    for name, value in parameters:
        if name in STREAM_ONLY:
            raise SubscriptionError(f"{name}: it belongs to the stream; history has every event as it was published")
        if name not in PARAMETERS:
            filters.append((name, value))
        elif name in own:
            raise SubscriptionError(f"{name}: given more than once, and one value is wanted")
        else:
            own[name] = value
    wanted = parse(filters, also=PARAMETERS)
    from_time = parse_time("from", own["from"], now) if "from" in own else None
    to_time = parse_time("to", own["to"], now) if "to" in own else None
    if from_time is not None and to_time is not None and from_time >= to_time:
        raise SubscriptionError("from: it is not before to")
    since = _since(parse_position(own["since"]), kept) if "since" in own else None
    before = None
    if "cursor" in own:
        since, before = _cursor(own["cursor"], since, kept)
    query = HistoryQuery(
        wanted, from_time, to_time, since, before, _limit(own.get("limit", str(DEFAULT_LIMIT))), own.get("id", "")
    )
    chosen = _format(own["format"]) if "format" in own else format_of(accept)
    return HistoryRequest(query, chosen, "cursor" in own)


def cursor_of(page: Page, query: HistoryQuery, epoch: str) -> str | None:
    """Return the cursor with which the next page is asked for, or None if there is none."""
    if page.next is None:
        return None
    return f"{'older' if query.since is None else 'newer'}-{Position(epoch, page.next)}"


def parse_time(name: str, value: str, now: Callable[[], datetime]) -> datetime:
    """Return the moment that `value` names: RFC 3339, seconds since 1970, or so long ago (`-10m`).

    Raises SubscriptionError.
    """
    try:
        if found := _MOMENT.fullmatch(value):
            zone = found[3].upper().replace(" ", "+")
            return datetime.fromisoformat(f"{found[1]}T{found[2]}{zone}").astimezone(UTC)
        if _SECONDS.fullmatch(value):
            return datetime.fromtimestamp(float(value), UTC)
        if found := _AGO.fullmatch(value):
            return now() - timedelta(**{_UNITS[found[2]]: int(found[1])})
    except (ValueError, OverflowError, OSError):
        pass  # a day that does not exist, or a time that no calendar has
    raise SubscriptionError(
        f"{name}: {quoted(value)} is not a time; write 2026-11-22T07:31:05Z, seconds since 1970, "
        "or how long ago: -90s, -10m, -2h, -7d"
    )


def format_of(accept: str) -> Format:
    """Return the format that an `Accept` header prefers; JSON where it names none of them."""
    best: tuple[float, Format] = (0.0, "json")
    for item in accept.split(","):
        kind, *parameters = (part.strip().lower() for part in item.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        share = float(weight) if re.fullmatch(r"[01](\.\d{0,3})?", weight, re.ASCII) else 0.0
        if kind in MEDIA_TYPES and share > best[0]:
            best = share, MEDIA_TYPES[kind]
    return best[1]


def _since(position: Position, kept: Kept) -> int:
    """Return the number after which events are wanted. Of another numbering nothing is kept: all of this one is."""
    check_position(position, kept)
    return position.seq if position.epoch == kept.epoch else 0


def _cursor(value: str, since: int | None, kept: Kept) -> tuple[int | None, int | None]:
    """Return the `since` or the `before` in a cursor."""
    found = _CURSOR.fullmatch(value)
    if found is None:
        raise SubscriptionError(f"cursor: {quoted(value)} is none; take it from `next` of the page before")
    position = parse_position(found["position"], "cursor")
    if position.epoch != kept.epoch:
        raise SubscriptionError("cursor: the numbering began anew since the page before; begin without a cursor")
    check_position(position, kept, "cursor")
    if found["way"] == "newer":
        return position.seq, None
    if since is not None:
        raise SubscriptionError("cursor: it is of pages without since, which go back in time")
    return None, position.seq


def _limit(value: str) -> int:
    if value.isascii() and value.isdigit() and len(value) < 10 and 1 <= int(value) <= MAX_LIMIT:
        return int(value)
    raise SubscriptionError(f"limit: {quoted(value)} is not a number of events, 1 to {MAX_LIMIT}")


def _format(value: str) -> Format:
    known: Sequence[Format] = ("json", "ndjson", "csv")
    for each in known:
        if value == each:
            return each
    hint = did_you_mean(value, known)
    told = f"{hint}{' ' if hint else ''}known are {', '.join(known)}"
    raise SubscriptionError(f"format: {quoted(value)} is not known; {told}")
