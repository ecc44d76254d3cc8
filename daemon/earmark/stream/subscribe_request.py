"""What a subscriber asks for: a filter, and the position from which it goes on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from earmark.broadcast.subscription import Subscription, parse
from earmark.errors import SubscriptionError
from earmark.history.position import Position, parse_position


@dataclass(frozen=True, slots=True)
class SubscribeRequest:
    """A filter, and the position after which events are wanted; None: from now on.

    The position is no part of the filter, because subscribers with equal filters share their frames.
    """

    filter: Subscription
    since: Position | None = None


def parse_query(query: Mapping[str, object] | Iterable[tuple[str, object]]) -> SubscribeRequest:
    """Return what `query` asks for, whose values are text or JSON values. Raises SubscriptionError; see parse()."""
    pairs = list(query.items() if isinstance(query, Mapping) else query)
    positions = [value for name, value in pairs if name == "since"]
    if len(positions) > 1:
        raise SubscriptionError(f"since: given {len(positions)} times, and one value is wanted")
    since = parse_position(positions[0]) if positions else None
    filters = [(name, value) for name, value in pairs if name != "since"]
    return SubscribeRequest(parse(filters, also=("since",)), since)


def parse_message(message: str | bytes) -> SubscribeRequest:
    """Return what a `subscribe` message asks for; it replaces the old filter whole. Raises SubscriptionError."""
    if isinstance(message, bytes):
        raise SubscriptionError("messages are JSON text, and this one is binary")
    try:
        content: Any = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError) as error:  # the latter for brackets, thousands deep
        raise SubscriptionError(f"not JSON: {error}") from None
    if not isinstance(content, dict) or content.pop("type", None) != "subscribe":
        raise SubscriptionError('the only message known here is {"type":"subscribe", …}')
    return parse_query(content)
