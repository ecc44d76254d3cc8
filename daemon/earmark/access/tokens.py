"""Bearer tokens, and what each of them allows."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, Self, get_args

from earmark.protocol.endpoints import TOKEN_SUBPROTOCOL

TokenScope = Literal["subscribe", "classify", "send", "clips", "admin"]
"""What a token allows: to receive events, to post clips, to send sound, to hear kept clips, to change the daemon."""

SCOPES: tuple[TokenScope, ...] = get_args(TokenScope)
ALL_SCOPES: frozenset[TokenScope] = frozenset(SCOPES)

CHALLENGE = "Bearer"  # of a 401, in the header WWW-Authenticate

# The page of the Inference API misprints it as "Bearer: TOKEN", and some clients do the same
_BEARER = re.compile(r"\s*bearer(?:\s*:\s*|\s+)(\S+)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request may not pass: the HTTP status, a sentence, and the header `WWW-Authenticate`, if there is one.

    `reason` is what it counts under, and `retry_after` the seconds to wait before the next try; 0: it would not help.
    """

    status: int
    error: str
    challenge: str = ""
    reason: str = field(default="", compare=False)
    retry_after: int = field(default=0, compare=False)

    @property
    def headers(self) -> dict[str, str]:
        headers = {"WWW-Authenticate": self.challenge} if self.challenge else {}
        return headers | ({"Retry-After": str(self.retry_after)} if self.retry_after else {})


@dataclass(frozen=True, slots=True)
class Token:
    """A token that is accepted: its name, what it allows, and the SHA-256 of its text.

    A slow hash is for passwords, which can be guessed. A token of 256 random bits cannot, so a fast hash is safe.
    """

    name: str
    scopes: frozenset[TokenScope]
    digest: bytes

    @classmethod
    def of(cls, text: str, scopes: Set[TokenScope], name: str = "") -> Self:
        """Return the token with this text."""
        return cls(name, frozenset(scopes), digest(text))


class Tokens:
    """The tokens that are accepted, each with its scopes. If none is `required`, every request passes without one.

    Only digests are kept. Each token that a request shows is compared with every digest in constant time, so that the
    time of an answer tells nothing about the tokens.
    """

    def __init__(self, tokens: Iterable[Token] = (), *, required: bool | None = None) -> None:
        self._tokens = tuple(tokens)
        self.required = bool(self._tokens) if required is None else required  # whether requests need a token

    @classmethod
    def plain(cls, scopes: Mapping[str, Set[TokenScope]]) -> Self:
        """Return the tokens with these texts and scopes."""
        return cls(Token.of(text, allowed) for text, allowed in scopes.items())

    def __iter__(self) -> Iterator[Token]:
        return iter(self._tokens)

    def find(self, authorization: str | None, subprotocols: Sequence[str] = ()) -> Token | None:
        """Return the first accepted token in this Authorization header or these subprotocols, or None."""
        return next(iter(self._known(_shown(authorization, subprotocols))), None)

    def examine(self, authorization: str | None, subprotocols: Sequence[str]) -> tuple[list[bytes], list[bytes]]:
        """Return the digests of the tokens that a request shows: those that are accepted, and the others."""
        shown = _shown(authorization, subprotocols)
        right = [digest(text) for text in shown if self._known([text])]
        return right, [each for each in map(digest, shown) if each not in right]

    def refusal(
        self, scope: TokenScope | None, authorization: str | None, subprotocols: Sequence[str] = ()
    ) -> Refusal | None:
        """Return why a request with this Authorization header or these WebSocket subprotocols is refused, or None.

        The request asks for `scope`. If that is None, a token with any scope will do.
        """
        if not self.required:
            return None
        shown = _shown(authorization, subprotocols)
        if not shown:
            sentence = "Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`"
            return Refusal(401, sentence, CHALLENGE, "no_token")
        known = self._known(shown)
        if not known:
            return Refusal(401, "Invalid credentials in Authorization header", CHALLENGE, "wrong_token")
        if scope is None or any(scope in token.scopes for token in known):
            return None
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'  # RFC 6750, section 3.1
        return Refusal(403, f"This token does not allow `{scope}`", challenge, "scope")

    def _known(self, shown: Sequence[str]) -> list[Token]:
        digests = [digest(text) for text in shown]
        return [token for one in digests for token in self._tokens if hmac.compare_digest(one, token.digest)]


def tokens_changed(before: Iterable[Token], after: Iterable[Token]) -> Iterator[tuple[str, object, object]]:
    """Yield each token that came, went or changed, for the audit log: `token[NAME]`, what it allowed and allows.

    Tokens without a name are told together, as how many there are. No hash is told.
    """
    old, new = list(before), list(after)
    for name in sorted({token.name for token in (*old, *new)} - {""}):
        one, other = ({token for token in tokens if token.name == name} for tokens in (old, new))
        if one != other:
            told = _allowed(other)
            yield f"token[{name}]", _allowed(one), f"{told}, with another text" if told == _allowed(one) else told
    plain, plain_now = ({token.digest for token in tokens if not token.name} for tokens in (old, new))
    if plain != plain_now:
        yield "tokens without a name", len(plain), len(plain_now)


def _allowed(tokens: Iterable[Token]) -> str | None:
    return next((", ".join(scope for scope in SCOPES if scope in token.scopes) for token in tokens), None)


def digest(text: str) -> bytes:
    """Return the SHA-256 of a token."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()


def _shown(authorization: str | None, subprotocols: Sequence[str]) -> list[str]:
    """Return the tokens that a request shows. An unreadable one is empty, and so wrong."""
    shown = [token for token in map(_offered, subprotocols) if token is not None]
    if authorization is not None:
        found = _BEARER.fullmatch(authorization)
        shown.append(found[1] if found else "")
    return shown


def _offered(subprotocol: str) -> str | None:
    """Return the token in a subprotocol, or None where there is none. An unreadable token is empty, and so wrong."""
    if not subprotocol.startswith(TOKEN_SUBPROTOCOL):
        return None
    text = subprotocol.removeprefix(TOKEN_SUBPROTOCOL)
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).decode()
    except (binascii.Error, ValueError):
        return ""
