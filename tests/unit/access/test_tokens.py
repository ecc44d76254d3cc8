from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import pytest

from earmark.access.tokens import ALL_SCOPES, Refusal, Token, Tokens, TokenScope, tokens_changed

WRONG = Refusal(401, "Invalid credentials in Authorization header", "Bearer")
MISSING = Refusal(
    401, "Authorization header is missing: this daemon wants `Authorization: Bearer TOKEN`", challenge="Bearer"
)


def tokens(*texts: str) -> Tokens:
    """Tokens that allow everything."""
    return Tokens.plain(dict.fromkeys(texts, ALL_SCOPES))


TOKENS = tokens("first-token", "zweites-Wörtchen")


def refusal(authorization: str | None, subprotocols: Sequence[str] = (), among: Tokens = TOKENS) -> Refusal | None:
    return among.refusal("subscribe", authorization, subprotocols)


def test_without_tokens_no_request_needs_one() -> None:
    assert refusal(None, among=Tokens()) is None
    assert refusal("Bearer whatever", among=Tokens()) is None
    assert (Tokens().required, TOKENS.required) == (False, True)


@pytest.mark.parametrize(
    "value", ["Bearer first-token", "bearer: first-token", "BEARER:first-token", " Bearer\tfirst-token "]
)
def test_every_spelling_of_the_header_is_read(value: str) -> None:
    assert refusal(value) is None


@pytest.mark.parametrize(
    "value", ["", "Bearer", "Bearerfirst-token", "first-token", "Basic first-token", "Bearer first-tokenx"]
)
def test_anything_else_is_wrong(value: str) -> None:
    assert refusal(value) == WRONG


def test_nothing_at_all_is_told_apart_from_something_wrong() -> None:
    assert refusal(None) == MISSING
    assert refusal(None, ["earmark.v1"]) == MISSING


def offered(token: bytes) -> str:
    """The subprotocol that a browser offers."""
    return "earmark.token." + base64.urlsafe_b64encode(token).decode().rstrip("=")


def test_a_subprotocol_carries_the_token_in_base64url() -> None:
    assert refusal(None, ["earmark.v1", offered("zweites-Wörtchen".encode())]) is None
    assert refusal(None, [offered(b"wrong")]) == WRONG
    assert refusal(None, ["earmark.token.fn5-Pz8_"], tokens("~~~???")) is None


@pytest.mark.parametrize("broken", ["", "!", "Zm9v Zg", "é", "Zm9vZ", "_w"])  # "_w" is no UTF-8
def test_an_unreadable_subprotocol_is_wrong_and_no_crash(broken: str) -> None:
    assert refusal(None, ["earmark.token." + broken]) == WRONG


@pytest.mark.parametrize("length", range(1, 13))
def test_tokens_of_every_length_are_read_from_a_subprotocol(length: int) -> None:
    among = tokens("abcdefghijkl"[:length])
    assert refusal(None, [offered(b"abcdefghijkl"[:length])], among) is None
    assert refusal(None, [offered(b"Abcdefghijkl"[:length])], among) == WRONG


@pytest.mark.parametrize(
    "offer", ["earmark.token", "earmark.tokens.Zmlyc3QtdG9rZW4", "Earmark.token.Zmlyc3QtdG9rZW4", ""]
)
def test_other_subprotocols_carry_nothing(offer: str) -> None:
    assert refusal(None, [offer]) == MISSING


def test_one_right_token_is_enough_wherever_it_stands() -> None:
    right, wrong = offered(b"first-token"), offered(b"wrong")
    assert refusal("Bearer wrong", [right]) is None
    assert refusal("Bearer first-token", [wrong]) is None
    assert refusal(None, [wrong, right]) is None
    assert refusal("Bearer wrong", [wrong]) == WRONG


def test_a_header_that_is_no_utf_8_is_wrong_and_no_crash() -> None:
    assert refusal("Bearer \udcff\udc80") == WRONG
    assert refusal("Bearer \udcff", among=tokens("\udcff")) is None


def test_every_token_is_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[bytes, bytes]] = []
    compare = hmac.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    assert refusal("Bearer first-token") is None
    shown = hashlib.sha256(b"first-token").digest()
    assert [one for one, _ in compared] == [shown, shown]  # the right one does not end the comparing
    assert {len(each) for pair in compared for each in pair} == {32}


SCOPED = Tokens.plain({"ear": {"subscribe"}, "desk": {"classify", "send"}, "boss": ALL_SCOPES, "nobody": set()})


@pytest.mark.parametrize(
    ("token", "allowed"),
    [("ear", {"subscribe"}), ("desk", {"classify", "send"}), ("boss", ALL_SCOPES), ("nobody", set())],
)
def test_a_token_allows_its_scopes_and_no_other(token: str, allowed: set[TokenScope]) -> None:
    for scope in ALL_SCOPES:
        found = SCOPED.refusal(scope, f"Bearer {token}")
        challenge = f'Bearer error="insufficient_scope", scope="{scope}"'
        refused = Refusal(403, f"This token does not allow `{scope}`", challenge)
        assert found == (None if scope in allowed else refused)


def test_a_request_that_asks_for_no_scope_needs_any_token() -> None:
    assert SCOPED.refusal(None, "Bearer nobody") is None
    assert SCOPED.refusal(None, "Bearer wrong") == WRONG
    assert SCOPED.refusal(None, None) == MISSING


def test_of_two_tokens_one_with_the_scope_is_enough() -> None:
    assert SCOPED.refusal("classify", "Bearer ear", [offered(b"desk")]) is None
    assert SCOPED.refusal("classify", "Bearer desk", [offered(b"ear")]) is None


def test_a_refusal_carries_its_challenge_in_a_header() -> None:
    assert WRONG.headers == {"WWW-Authenticate": "Bearer"}
    assert Refusal(403, "x").headers == {}


def test_tokens_can_be_needed_though_there_is_none() -> None:
    assert Tokens((), required=True).refusal(None, "Bearer anything") == WRONG
    assert Tokens((), required=True).refusal(None, None) == MISSING


def test_the_token_that_a_request_shows_is_found_by_its_text() -> None:
    first, second = Token.of("ear-text", {"subscribe"}, "ear"), Token.of("desk-text", {"send"}, "desk")
    among = Tokens([first, second])
    assert among.find("Bearer desk-text") == second
    assert among.find(None, [offered(b"ear-text")]) == first
    assert (among.find("Bearer ear"), among.find(None), Tokens().find("Bearer ear-text")) == (None, None, None)


def test_a_token_is_kept_as_its_sha_256() -> None:
    assert Token.of("text", {"send"}, "desk") == Token("desk", frozenset({"send"}), hashlib.sha256(b"text").digest())


def test_tokens_that_came_went_or_changed_are_told_without_their_hashes() -> None:
    before = [
        Token.of("1", {"subscribe"}, "same"),
        Token.of("2", {"subscribe"}, "gone"),
        Token.of("3", {"subscribe"}, "more"),
        Token.of("4", {"send"}, "other"),
        Token.of("plain", {"send"}),
    ]
    after = [
        before[0],
        Token.of("3", {"admin", "subscribe"}, "more"),
        Token.of("5", {"classify"}, "new"),
        Token.of("6", {"send"}, "other"),
        Token.of("plain", {"send"}),
    ]
    assert list(tokens_changed(before, after)) == [
        ("token[gone]", "subscribe", None),
        ("token[more]", "subscribe", "subscribe, admin"),
        ("token[new]", None, "classify"),
        ("token[other]", "send", "send, with another text"),
    ]
    assert list(tokens_changed(before, before[:4])) == [("tokens without a name", 1, 0)]
    assert list(tokens_changed(before, before)) == []
