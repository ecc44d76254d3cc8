"""Who may talk to the daemon: one rule for HTTP requests and WebSocket handshakes, replaceable at any time."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from earmark.access.origins import Origins
from earmark.access.tokens import CHALLENGE, Refusal, Tokens, TokenScope

_ABSOLUTE = re.compile(r"(?:http|ws)s?://([^/?#]*)(.*)", re.IGNORECASE | re.DOTALL)
BAD_REQUEST, UNAUTHORIZED, FORBIDDEN = 400, 401, 403


@dataclass(frozen=True, slots=True)
class Access:
    """The headers and tokens that are accepted. It never changes: a new one takes its place in CurrentAccess."""

    origins: Origins
    tokens: Tokens = field(default_factory=Tokens)

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
        return None if sentence is None else Refusal(FORBIDDEN, sentence)

    def refuse_token(
        self, scope: TokenScope | None, authorizations: Sequence[str], subprotocols: Sequence[str] = ()
    ) -> Refusal | None:
        """Return the refusal of a request that shows no token with this scope, or None. See Tokens.refusal()."""
        if len(authorizations) > 1 and self.tokens.required:
            sentence = f"Authorization: the header is there {len(authorizations)} times"
            return Refusal(UNAUTHORIZED, sentence, CHALLENGE)
        return self.tokens.refusal(scope, authorizations[0] if authorizations else None, subprotocols)


@dataclass(slots=True)
class CurrentAccess:
    """The Access in force. On the event loop.

    HTTP requests and handshakes read `value` once each, so assigning another one holds from the next of them on.
    Connections that were let in before stay.
    """

    value: Access


def parse_target(target: str) -> tuple[str | None, str]:
    """Return the authority and the path of a request's target without its query: `/a`, `//a` or `http://host/a`.

    Proxies send the last form, and programs that join a base URL and a path the second.
    """
    found = _ABSOLUTE.fullmatch(target)
    authority, path = (found[1], found[2]) if found else (None, target)
    return authority, "/" + path.lstrip("/") if path.startswith("/") or found else path


def scope_of(method: str) -> TokenScope | None:
    """Return the scope that an HTTP request asks for; None where a token with any scope will do."""
    return "clips" if method == "POST" else None
