from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from earmark.core.tokens import SUBPROTOCOL, Tokens

TOKENS = Tokens(["first-token", "zweites-Wörtchen"])
WRONG = "Invalid credentials in Authorization header"


def test_without_tokens_nobody_needs_one() -> None:
    assert Tokens().refusal(None) is None
    assert Tokens().refusal("Bearer whatever") is None


@pytest.mark.parametrize(
    "value", ["Bearer first-token", "bearer: first-token", "BEARER:first-token", " Bearer\tfirst-token "]
)
def test_every_spelling_of_the_header_is_read(value: str) -> None:
    assert TOKENS.refusal(value) is None


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearerfirst-token", "first-token", "Basic first-token", "Bearer first-tokenx"]
)
def test_anything_else_is_wrong(value: str) -> None:
    assert TOKENS.refusal(value) == WRONG


def test_nothing_at_all_is_told_apart_from_something_wrong() -> None:
    assert "missing" in (TOKENS.refusal(None) or "")
    assert "missing" in (TOKENS.refusal(None, ["earmark.v1"]) or "")


def test_a_subprotocol_carries_the_token_in_base64url() -> None:
    def offered(token: str) -> str:
        return SUBPROTOCOL + base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")

    assert TOKENS.refusal(None, ["earmark.v1", offered("zweites-Wörtchen")]) is None
    assert TOKENS.refusal(None, [offered("wrong")]) == WRONG
    for broken in ("", "!", "Zm9v Zg", "é"):
        assert TOKENS.refusal(None, [SUBPROTOCOL + broken]) == WRONG


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert TOKENS.refusal("Bearer first-token") is None
    shown = hashlib.sha256(b"first-token").digest()
    assert [one for one, _ in compared] == [shown, shown]  # the right one does not end the comparing
    assert {len(each) for pair in compared for each in pair} == {32}
