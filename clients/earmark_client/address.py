"""The address of a daemon, in the forms in which people write it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from earmark.errors import SubscriptionError
from earmark.protocol import endpoints
from earmark.protocol.endpoints import DEFAULT_ADDRESS

Filter = str | int | float | list[str] | tuple[str, ...] | set[str] | frozenset[str]
"""A value of a filter: a number, a text (lists separated by commas), or a collection of names."""


@dataclass(frozen=True, slots=True)
class Address:
    """A daemon's address. `host` is `HOST:PORT` as a URL has it."""

    host: str
    secure: bool = False

    def events(self, filters: Mapping[str, Filter | None]) -> str:
        """Return the WebSocket's URL with these filters, leaving out those that are None."""
        given = {name: _text(value) for name, value in filters.items() if value is not None}
        query = f"?{urlencode(given)}" if given else ""
        return f"{'wss' if self.secure else 'ws'}://{self.host}{endpoints.EVENTS}{query}"


def address(url: str = DEFAULT_ADDRESS) -> Address:
    """Parse `host`, `host:port`, `http://…` or `ws://…`, with or without the path. Raises SubscriptionError."""
    try:
        parts = urlsplit(url if "://" in url else f"ws://{url}")
        port = parts.port or endpoints.DEFAULT_PORT
    except ValueError:
        raise SubscriptionError(f"{url!r} is not an address; write HOST:PORT, for example {DEFAULT_ADDRESS}") from None
    if parts.scheme not in ("ws", "wss", "http", "https") or not parts.hostname:
        raise SubscriptionError(f"{url!r} is not an address; write HOST:PORT, for example {DEFAULT_ADDRESS}")
    if parts.path.rstrip("/") not in ("", endpoints.EVENTS) or parts.query:
        raise SubscriptionError(f"{url!r} is not an address of a daemon; leave everything after the port out")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return Address(f"{host}:{port}", parts.scheme in ("wss", "https"))


def _text(value: Filter) -> str:
    return str(value) if isinstance(value, str | int | float) else ",".join(value)
