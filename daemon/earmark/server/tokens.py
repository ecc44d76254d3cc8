"""Bearer tokens: who shows one of them may connect."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence

SUBPROTOCOL = "earmark.token."
"""A browser cannot set headers on a WebSocket; it offers this subprotocol, followed by the token in base64url."""

# The page of the Inference API misprints it as "Bearer: TOKEN", and so do clients
_BEARER = re.compile(r"\s*bearer(?:\s*:\s*|\s+)(\S+)\s*", re.IGNORECASE)


class Tokens:
    """The tokens that are accepted; without any, nobody needs one.

    Only digests are kept. Every one is compared, in constant time, so that the time tells nothing of what is right.
    """

    def __init__(self, tokens: Iterable[str] = ()) -> None:
        self._digests = [_digest(token) for token in tokens]

    @property
    def wanted(self) -> bool:
        """Whether anybody needs a token."""
        return bool(self._digests)

    def refusal(self, authorization: str | None, subprotocols: Sequence[str] = ()) -> str | None:
        """Why a request with this Authorization header, or these WebSocket subprotocols, is refused, or None."""
        if not self.wanted:
            return None
        shown = [token for token in map(_offered, subprotocols) if token is not None]
        if authorization is not None:
            found = _BEARER.fullmatch(authorization)
            shown.append(found[1] if found else "")
        if not shown:
            return "Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`"
        known = [hmac.compare_digest(_digest(token), digest) for token in shown for digest in self._digests]
        return None if any(known) else "Invalid credentials in Authorization header"


def _offered(subprotocol: str) -> str | None:
    """The token in a subprotocol; an unreadable one is empty, and wrong."""
    if not subprotocol.startswith(SUBPROTOCOL):
        return None
    text = subprotocol.removeprefix(SUBPROTOCOL)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode(errors="surrogateescape")).digest()
