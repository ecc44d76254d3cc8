from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from earmark.server.tokens import Tokens

TOKENS = Tokens(["first-token", "zweites-Wörtchen"])
WRONG = "Invalid credentials in Authorization header"


def test_without_tokens_nobody_needs_one() -> None:
    assert Tokens().refusal(None) is None
    assert Tokens().refusal("Bearer whatever") is None
    assert (Tokens().wanted, TOKENS.wanted) == (False, True)


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
    missing = "Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`"
    assert TOKENS.refusal(None) == missing
    assert TOKENS.refusal(None, ["earmark.v1"]) == missing


def offered(token: bytes) -> str:
    """The subprotocol that a browser offers."""
    return "earmark.token." + base64.urlsafe_b64encode(token).decode().rstrip("=")


def test_a_subprotocol_carries_the_token_in_base64url() -> None:
    assert TOKENS.refusal(None, ["earmark.v1", offered("zweites-Wörtchen".encode())]) is None
    assert TOKENS.refusal(None, [offered(b"wrong")]) == WRONG
    assert Tokens(["~~~???"]).refusal(None, ["earmark.token.fn5-Pz8_"]) is None


@pytest.mark.parametrize("broken", ["", "!", "Zm9v Zg", "é", "Zm9vZ", "_w"])  # "_w" is no UTF-8
def test_an_unreadable_subprotocol_is_wrong_and_no_crash(broken: str) -> None:
    assert TOKENS.refusal(None, ["earmark.token." + broken]) == WRONG


@pytest.mark.parametrize("length", range(1, 13))
def test_tokens_of_every_length_are_read_from_a_subprotocol(length: int) -> None:
    tokens = Tokens(["abcdefghijkl"[:length]])
    assert tokens.refusal(None, [offered(b"abcdefghijkl"[:length])]) is None
    assert tokens.refusal(None, [offered(b"Abcdefghijkl"[:length])]) == WRONG


@pytest.mark.parametrize(
    "offer", ["earmark.token", "earmark.tokens.Zmlyc3QtdG9rZW4", "Earmark.token.Zmlyc3QtdG9rZW4", ""]
)
def test_other_subprotocols_carry_nothing(offer: str) -> None:
    assert "missing" in (TOKENS.refusal(None, [offer]) or "")


def test_one_right_token_is_enough_wherever_it_stands() -> None:
    right, wrong = offered(b"first-token"), offered(b"wrong")
    assert TOKENS.refusal("Bearer wrong", [right]) is None
    assert TOKENS.refusal("Bearer first-token", [wrong]) is None
    assert TOKENS.refusal(None, [wrong, right]) is None
    assert TOKENS.refusal("Bearer wrong", [wrong]) == WRONG


def test_a_header_that_is_no_utf_8_is_wrong_and_no_crash() -> None:
    assert TOKENS.refusal("Bearer \udcff\udc80") == WRONG
    assert Tokens(["\udcff"]).refusal("Bearer \udcff") is None


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
