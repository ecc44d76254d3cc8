"""Who comes to the port, and whether he is let in: one way for HTTP requests and WebSocket handshakes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from earmark.access.access import Access
from earmark.access.peers import client_of, is_named
from earmark.access.tokens import Refusal, TokenScope
from earmark.perimeter.guesses import Guesses

FORWARDED = ("x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "forwarded", "via")
"""Headers that tell of a proxy. Whoever has one set is not taken for this machine."""

Values = Callable[[str], Sequence[str]]
"""The values of all headers of a name, which is in lower case."""


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks. `host` and `scheme` are what the client asked a named proxy for; without one they are None."""

    address: str
    is_forwarded: bool
    host: str | None = None
    scheme: str | None = None


class Entrance:
    """The Access in force, and the wrong tokens that were shown. On the event loop.

    Requests and handshakes read `access`, so assigning another one holds from the next of them on. Connections that
    were let in before stay.
    """

    def __init__(self, access: Access, guesses: Guesses | None = None) -> None:
        self.access = access
        self._guesses = guesses or Guesses()

    def is_proxy(self, peer: str) -> bool:
        """Return whether the configuration names the peer as a proxy."""
        return is_named(peer, self.access.proxies)

    def client(self, peer: str, values: Values) -> Client:
        """Return who asks, from the address of the peer and the headers, which count if the peer is a named proxy."""
        forwarded = any(values(name) for name in FORWARDED)
        if not self.is_proxy(peer):
            return Client(peer, forwarded)
        address = client_of(peer, values("x-forwarded-for"), self.access.proxies)
        scheme = _last(values("x-forwarded-proto"))
        return Client(
            address, forwarded, _last(values("x-forwarded-host")), scheme if scheme in ("http", "https") else None
        )

    def refuse_origin(
        self,
        client: Client,
        hosts: Sequence[str],
        origins: Sequence[str],
        authority: str | None = None,
        version: str = "1.1",
    ) -> Refusal | None:
        """Return the refusal of a request with these headers, or None. See Access.refuse_origin().

        Where a named proxy tells which host its client asked for, the Host header is that of the proxy's own request.
        Both are checked: a page could write the former, and its name would be in the latter.
        """
        if client.host is None:
            return self.access.refuse_origin(hosts, origins, authority, version)
        own = self.access.refuse_origin(hosts, [], authority, version)
        return own or self.access.refuse_origin([client.host], origins)

    def refuse_token(
        self,
        client: Client,
        scope: TokenScope | None,
        authorizations: Sequence[str],
        subprotocols: Sequence[str],
        now: float,
    ) -> Refusal | None:
        """Return the refusal of a request that shows no token with this scope, or that guesses, or None."""
        shown = authorizations[0] if len(authorizations) == 1 else None
        guessing = self._guesses.refusal(self.access.tokens, client.address, shown, subprotocols, now)
        return guessing or self.access.refuse_token(scope, authorizations, subprotocols)

    def refuse_remote(
        self,
        client: Client,
        scope: TokenScope | None,
        hosts: Sequence[str],
        origins: Sequence[str],
        authority: str | None = None,
    ) -> Refusal | None:
        """Return the refusal of a request that only this machine may make. See Access.refuse_remote()."""
        return self.access.refuse_remote(scope, client.address, hosts, origins, authority, client.is_forwarded)


def _last(values: Sequence[str]) -> str | None:
    """Return the last value, which the nearest proxy wrote, or None if there is none."""
    return values[-1].rpartition(",")[2].strip().lower() or None if values else None
