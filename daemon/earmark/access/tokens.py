"""Bearer tokens, and what each of them allows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

from earmark.protocol.endpoints import TOKEN_SUBPROTOCOL

TokenScope = Literal["listen", "clips", "send", "admin"]
"""What a token allows: to follow the event stream, to post clips, to send sound, to change the daemon."""

ALL_SCOPES: frozenset[TokenScope] = frozenset(get_args(TokenScope))

CHALLENGE = "Bearer"  # of a 401, in the header WWW-Authenticate

# The page of the Inference API misprints it as "Bearer: TOKEN", and some clients do the same
_BEARER = re.compile(r"\s*bearer(?:\s*:\s*|\s+)(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not pass: the HTTP status, a sentence, and the header `WWW-Authenticate`, if there is one."""

    status: int
    error: str
    challenge: str = ""

    @property
    def headers(self) -> dict[str, str]:
        return {"WWW-Authenticate": self.challenge} if self.challenge else {}


class Tokens:
    """The tokens that are accepted, each with its scopes. If there are none, no request needs a token.

    Only digests are kept. Each token that a request shows is compared with every digest in constant time, so that the
    time of an answer tells nothing about the tokens.
    """

    def __init__(self, scopes: Mapping[str, Set[TokenScope]] = MappingProxyType({})) -> None:
        self._scopes = [(_digest(token), frozenset(allowed)) for token, allowed in scopes.items()]

    @property
    def required(self) -> bool:
        """Whether requests need a token."""
        return bool(self._scopes)

    def refusal(
        self, scope: TokenScope | None, authorization: str | None, subprotocols: Sequence[str] = ()
    ) -> Refusal | None:
        """Return why a request with this Authorization header or these WebSocket subprotocols is refused, or None.

        The request asks for `scope`. If that is None, a token with any scope will do.
        """
        if not self.required:
            return None
        shown = [token for token in map(_offered, subprotocols) if token is not None]
        if authorization is not None:
            found = _BEARER.fullmatch(authorization)
            shown.append(found[1] if found else "")
        if not shown:
            sentence = "Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`"
            return Refusal(401, sentence, CHALLENGE)
        digests = [_digest(token) for token in shown]
        known = [scopes for one in digests for other, scopes in self._scopes if hmac.compare_digest(one, other)]
        if not known:
            return Refusal(401, "Invalid credentials in Authorization header", CHALLENGE)
        if scope is None or any(scope in scopes for scopes in known):
            return None
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750, section 3.1
        return Refusal(403, f"This token does not allow `{scope}`", challenge)


def _offered(subprotocol: str) -> str | None:
    """Return the token in a subprotocol, or None where there is none. An unreadable token is empty, and so wrong."""
    if not subprotocol.startswith(TOKEN_SUBPROTOCOL):
        return None
    text = subprotocol.removeprefix(TOKEN_SUBPROTOCOL)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
