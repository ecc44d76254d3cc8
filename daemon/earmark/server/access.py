"""Who may talk to the daemon: one rule for HTTP requests and WebSocket handshakes, replaceable at any time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from earmark.server.origins import Origins
from earmark.server.tokens import Refusal, Tokens, TokenScope

FORBIDDEN = 403


@dataclass(frozen=True, slots=True)
class Access:
    """The headers and tokens that are accepted. It never changes: a new one takes its place in CurrentAccess."""

    origins: Origins
    tokens: Tokens = field(default_factory=Tokens)

    def refuse_origin(self, host: str | None, origin: str | None) -> Refusal | None:
        """Return the refusal of a request with a foreign Host or Origin header, or None."""
        sentence = self.origins.refusal(host, origin)
        return None if sentence is None else Refusal(FORBIDDEN, sentence)

    def refuse_token(
        self, scope: TokenScope | None, authorization: str | None, subprotocols: Sequence[str] = ()
    ) -> Refusal | None:
        """Return the refusal of a request that shows no token with this scope, or None. See Tokens.refusal()."""
        return self.tokens.refusal(scope, authorization, subprotocols)


@dataclass(slots=True)
class CurrentAccess:
    """The Access in force. On the event loop.

    HTTP requests and handshakes read `value` once each, so assigning another one holds from the next of them on.
    Connections that were let in before stay.
    """

    value: Access


def scope_of(method: str) -> TokenScope | None:
    """Return the scope that an HTTP request asks for; None where a token with any scope will do."""
    return "clips" if method == "POST" else None
