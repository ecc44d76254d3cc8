"""Who may talk to the daemon: one rule for HTTP requests and WebSocket handshakes, replaceable at any time."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from earmark.access.origins import LOOPBACK, MAX_QUOTED, Origins
from earmark.access.peers import Network
from earmark.access.tokens import CHALLENGE, Refusal, Tokens, TokenScope
from earmark.protocol import endpoints

_ABSOLUTE = re.compile(r"(?:http|ws)s?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
_CHANGING = frozenset({"PATCH", "PUT", "DELETE"})
_NEEDS_TOKEN = "without tokens only this machine may {}; `earmark token new` makes one"
LOCAL: Mapping[TokenScope | None, str] = {"admin": "change the daemon", "clips": "hear or list clips"}
"""The scopes that only this machine has where there are no tokens, and what they allow."""
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN = 400, 401, 403


@dataclass(frozen=True, slots=True)
class Access:
    """The headers and tokens that are accepted. It never changes: a new one takes its place in the Entrance."""

    origins: Origins
    tokens: Tokens = field(default_factory=Tokens)
    proxies: tuple[Network, ...] = ()  # whose headers X-Forwarded-… are believed
    prefix: str = ""  # of the path at which a proxy serves the daemon

    def own_path(self, path: str) -> str:
        """Return the path without the prefix, if it has it: a proxy may take it away, or leave it."""
        if self.prefix and (path == self.prefix or path.startswith(f"{self.prefix}/")):
            return path[len(self.prefix) :] or "/"
        return path

    def refuse_origin(
        self, hosts: Sequence[str], origins: Sequence[str], authority: str | None = None, version: str = "1.1"
    ) -> Refusal | None:
        """Return the refusal of a request with these Host and Origin headers, or None.

        One that comes twice is refused: two programs on the way could each have looked at another. A target's
        `authority` takes the place of the Host header (RFC 9112, 3.2.2). HTTP/1.0 has no such header, so a request of
        that version needs none: no browser sends one, and so nobody's page is behind it.
        """
        for name, values in (("Host", hosts), ("Origin", origins)):
            if len(values) > 1:
                return Refusal(BAD_REQUEST, f"{name}: the header is there {len(values)} times")
        if authority is not None:
            hosts = [authority]
        if not hosts and not origins and version == "1.0":
            return None
        sentence = self.origins.refusal(hosts[0] if hosts else None, origins[0] if origins else None)
        return None if sentence is None else Refusal(FORBIDDEN, sentence, reason=sentence.partition(":")[0].lower())

    def refuse_remote(
        self,
        scope: TokenScope | None,
        address: str,
        hosts: Sequence[str],
        origins: Sequence[str],
        authority: str | None = None,
        is_forwarded: bool = False,
    ) -> Refusal | None:
        """Return the refusal of a request that asks for a scope of LOCAL, or None. refuse_origin() lets it pass.

        Where tokens are needed, they say who may do what. Where none is, only this machine may: the client has a
        loopback address and calls the daemon by one, and a page that asks is the daemon's own. So neither a page of
        `server.allow_origins`, nor who comes through a proxy (`is_forwarded`, or by its name), can do any of that
        without a token.
        """
        if self.tokens.required or scope not in LOCAL:
            return None
        needs_token = _NEEDS_TOKEN.format(LOCAL[scope])
        if not is_local(address):
            return Refusal(FORBIDDEN, f"{address[:MAX_QUOTED]} is another machine, and {needs_token}", reason="remote")
        if is_forwarded:
            return Refusal(FORBIDDEN, f"the request came through a proxy, and {needs_token}", reason="remote")
        host = authority if authority is not None else next(iter(hosts), None)
        if sentence := Origins(LOOPBACK[0]).refusal(host, next(iter(origins), None)):
            return Refusal(FORBIDDEN, f"{sentence.partition('; ')[0]}, and {needs_token}", reason="remote")
        return None

    def refuse_token(
        self, scope: TokenScope | None, authorizations: Sequence[str], subprotocols: Sequence[str] = ()
    ) -> Refusal | None:
        """Return the refusal of a request that shows no token with this scope, or None. See Tokens.refusal()."""
        if len(authorizations) > 1 and self.tokens.required:
            sentence = f"Authorization: the header is there {len(authorizations)} times"
            return Refusal(UNAUTHORIZED, sentence, CHALLENGE, "malformed")
        return self.tokens.refusal(scope, authorizations[0] if authorizations else None, subprotocols)


def parse_target(target: str) -> tuple[str | None, str]:
    """Return the authority and the path of a request's target without its query: `/a`, `//a` or `http://host/a`.

    Proxies send the last form, and programs that join a base URL and a path the second.
    """
    found = _ABSOLUTE.fullmatch(target)
    authority, path = (found[1], found[2]) if found else (None, target)
    return authority, "/" + path.lstrip("/") if path.startswith("/") or found else path


def scope_of(method: str, path: str) -> TokenScope | None:
    """Return the scope that an HTTP request asks for; None where a token with any scope will do."""
    if method in _CHANGING or (method == "POST" and path == endpoints.RELOAD):
        return "admin"
    if method == "POST":
        return "classify"
    if method in ("GET", "HEAD") and (path == endpoints.CLIPS or path.startswith(f"{endpoints.CLIPS}/")):
        return "clips"
    return "subscribe" if path == endpoints.EVENTS else None


def is_local(address: str) -> bool:
    """Return whether a client with this IP address is on this machine."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        return parsed.ipv4_mapped.is_loopback
    return parsed.is_loopback
