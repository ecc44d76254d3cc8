"""Tokens and the headers by which requests are let in: the file of tokens, Authorization, Host and Origin."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

from earmark.access import token_lines
from earmark.access.access import Access, is_local, parse_target, scope_of
from earmark.access.origins import Origins
from earmark.access.tokens import ALL_SCOPES, SCOPES, Token, Tokens
from earmark.errors import ConfigError
from tests.fuzz.target import Broken, Target

SECRET = "hf_0123456789abcdef"
WORDS = {200: "-", 400: "malformed ", 401: "unauthorized ", 403: "forbidden "}
HASH = b"sha256:" + b"0123456789abcdef" * 4
HOSTS = (
    "127.0.0.1:8765",
    "localhost",
    "[::1]:8765",
    "LOCALHOST.:8765",
    "evil.example",
    "[fe80::1%25eth0]",
    "a:b:c",
    "",
)
PAGES = ("http://127.0.0.1:8765", "https://dashboard.example", "https://evil.example", "null", "http://[", "file://")


class TokenFile(Target):
    """The text of a file of tokens, and its changes by `earmark token`."""

    name = "token-file"
    max_bytes = 8192
    slow = 0.2
    words: Sequence[bytes] = (
        *(HASH, b"sha256:", b"laptop", b" ", b"\t", b"\n", b"\r", b"#", b",", *(scope.encode() for scope in SCOPES)),
        *(SECRET.encode(), b"\x0c", b"\x1c", "\x85".encode(), "\u2028".encode(), "\ufeff".encode(), b"0" * 64),
    )

    def seeds(self) -> Sequence[bytes]:
        lines = [b"laptop subscribe,classify " + HASH, b"admin admin " + HASH, SECRET.encode(), b"# ours", b""]
        return [b"\n".join(lines), *lines, b"\r\n".join(lines)]

    def grow(self, chance: Random) -> bytes:
        lines = []
        for number in range(chance.randrange(6)):
            scopes = ",".join(chance.choice((*SCOPES, "root", "")) for _ in range(chance.randrange(1, 4)))
            name = chance.choice(("laptop", f"name{number}", f"name{number}", "a" * 65, "é", ""))
            lines.append(chance.choice((f"{name} {scopes} {HASH.decode()}", f"token{number}", "# remark", "")))
        return chance.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode()

    def feed(self, data: bytes) -> str:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            return "not text"
        try:
            tokens = token_lines.parse(text)
            changed = token_lines.with_token(text, Token.of("secret", {"subscribe"}, "a-new-one"))
            again = token_lines.parse(token_lines.without(changed, "a-new-one"))
        except ConfigError as error:
            if any(word in str(error) for word in text.split() if len(word) > 20):
                raise Broken("a refusal repeats a line, which may be a token") from error
            return str(error)[:60]
        if again != tokens:
            raise Broken("a token that came and went has changed the others")
        return "ok"


class Headers(Target):
    """The lines Authorization, Sec-WebSocket-Protocol, Host and Origin, the target, and the client's address."""

    name = "headers"
    max_bytes = 8192
    slow = 0.05
    words: Sequence[bytes] = (
        *(b"Bearer ", b"bearer: ", SECRET.encode(), b"Basic ", b"\n", b"earmark.v1", b"earmark.token."),
        *(b"aGZfMDEyMzQ1Njc4OWFiY2RlZg", b",", b" ", b"\t", b"http://", b"https://", b"ws://x/", b"//", b"[", b"]"),
        *(
            *(host.encode() for host in HOSTS),
            *(page.encode() for page in PAGES),
            b":",
            b"%",
            b"@",
            b"::ffff:127.0.0.1",
        ),
    )

    def __init__(self) -> None:
        tokens = Tokens([Token.of(SECRET, ALL_SCOPES, "laptop"), Token.of("other", {"subscribe"})])
        origins = Origins("0.0.0.0", ["mic.example"], ["https://dashboard.example"])
        self._with, self._without = Access(origins, tokens), Access(Origins("127.0.0.1"))

    def seeds(self) -> Sequence[bytes]:
        return [
            f"Bearer {SECRET}\nearmark.v1\n{host}\n{page}\n/v1/events\n127.0.0.1".encode()
            for host in HOSTS
            for page in PAGES
        ]

    def grow(self, chance: Random) -> bytes:
        lines = (
            chance.choice((f"Bearer {SECRET}", "Bearer: other", "Bearer x", "", "bearer")),
            chance.choice(
                ("earmark.v1", "earmark.v1, earmark.token.aGZfMDEyMzQ1Njc4OWFiY2RlZg", "earmark.token.é", "")
            ),
            chance.choice(HOSTS),
            chance.choice(PAGES),
            chance.choice(
                ("/v1/events", "http://evil.example/v1/reload", "//v1/clips/a", "*", "", "/v1/clips/../reload")
            ),
            chance.choice(("127.0.0.1", "::1", "::ffff:127.0.0.1", "10.0.0.1", "fe80::1%eth0", "", "x")),
        )
        return "\n".join(lines).encode()

    def feed(self, data: bytes) -> str:
        lines = [line.decode("latin-1") for line in data.split(b"\n")]
        authorization, offered, host, page, target, address = (*lines, *[""] * 6)[:6]
        subprotocols = [name.strip() for name in offered.split(",")]
        authority, path = parse_target(target)
        local = is_local(address)
        outcomes = [f"local {local}"]
        for method in ("GET", "POST", "PATCH"):
            scope = scope_of(method, path)
            for access in (self._with, self._without):
                refusals = (
                    access.refuse_token(scope, [authorization] if authorization else [], subprotocols),
                    access.refuse_origin([host], [page] if page else [], authority),
                    access.refuse_remote(scope, address, [host], [page] if page else [], authority),
                )
                for refusal in refusals:
                    if refusal is not None:
                        refusal.error.encode()
                        if len(refusal.error) > 1000:
                            raise Broken(f"a refusal of {len(refusal.error)} characters")
                if access is self._with and refusals[0] is None and not _shows_a_token(authorization, offered):
                    raise Broken("let in without a token")
                if scope == "admin" and access is self._without and not any(refusals) and not local:
                    raise Broken("another machine may change the daemon")
                outcomes.append("".join(WORDS[refusal.status if refusal else 200] for refusal in refusals))
        return " ".join(outcomes)


def _shows_a_token(authorization: str, offered: str) -> bool:
    kept = re.sub(r"[^A-Za-z0-9_+/-]", "", offered)  # what base64 leaves out
    encoded = ("aGZfMDEyMzQ1Njc4OWFiY2RlZ", "b3RoZXI")
    return SECRET in authorization or "other" in authorization or any(each in kept for each in encoded)
