"""Tests of the limit on wrong tokens."""

from __future__ import annotations

import pytest

from earmark.access.limits import Rate
from earmark.access.tokens import Refusal, Tokens
from earmark.perimeter.guesses import MOST_SHOWN, Guesses

TOKENS = Tokens.plain({"right": {"subscribe"}, "other": {"subscribe"}})
FAR, NEAR = "203.0.113.9", "198.51.100.1"


def guesses(most: int = 100) -> Guesses:
    return Guesses(Rate(per_second=0.5, burst=3), most)


def shown(guesses: Guesses, token: str, address: str = FAR, now: float = 0.0) -> int:
    """The seconds for which a request with this token is told to wait; 0: it is not refused for guessing."""
    refused = guesses.refusal(TOKENS, address, f"Bearer {token}", (), now)
    return 0 if refused is None else refused.retry_after


def test_an_address_with_too_many_wrong_tokens_is_told_to_wait_even_with_the_right_one() -> None:
    limit = guesses()
    assert [shown(limit, f"wrong{n}") for n in range(4)] == [0, 0, 0, 2]
    assert shown(limit, "right") == 2
    refused = limit.refusal(TOKENS, FAR, "Bearer wrong9", (), 0.0)
    assert refused == Refusal(429, "too many wrong tokens came from your address")
    assert refused.reason == "guessing"
    assert refused.headers == {"Retry-After": "2"}


def test_after_the_wait_one_more_may_be_shown() -> None:
    limit = guesses()
    for n in range(3):
        shown(limit, f"wrong{n}")
    assert [shown(limit, "right", now=now) for now in (1.9, 2.0, 2.1)] == [1, 0, 0]


def test_a_right_token_that_came_from_the_address_before_goes_on_while_another_guesses_there() -> None:
    limit = guesses()
    assert shown(limit, "right") == 0
    assert [shown(limit, f"wrong{n}") for n in range(4)] == [0, 0, 0, 2]
    assert shown(limit, "right") == 0
    assert shown(limit, "other") == 2
    assert shown(limit, "right", address=NEAR) == 0


def test_a_program_that_repeats_one_wrong_token_uses_up_nothing() -> None:
    limit = guesses()
    assert [shown(limit, "old") for _ in range(50)] == [0] * 50
    assert shown(limit, "right") == 0


def test_other_addresses_are_not_told_to_wait_but_those_of_one_ipv6_network_are_one() -> None:
    limit = guesses()
    for n in range(9):
        shown(limit, f"wrong{n}", address=f"2001:db8::{n}")
    assert shown(limit, "right", address="2001:db8::ffff") == 2
    assert shown(limit, "right", address="2001:db8:0:1::1") == 0
    assert shown(limit, "right") == 0


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", ""])
def test_programs_on_this_machine_are_slowed_as_one(address: str) -> None:
    limit = guesses()
    for n in range(3):
        shown(limit, f"wrong{n}", address="127.0.0.1")
    assert shown(limit, "right", address=address) == 2


def test_a_request_without_a_token_is_no_guess() -> None:
    limit = guesses()
    assert [limit.refusal(TOKENS, FAR, None, (), 0.0) for _ in range(9)] == [None] * 9
    assert limit.refusal(Tokens(), FAR, "Bearer x", (), 0.0) is None


def test_one_request_cannot_show_many_tokens() -> None:
    offers = [f"earmark.token.{n}" for n in range(MOST_SHOWN + 1)]
    assert guesses().refusal(TOKENS, FAR, None, offers[:-1], 0.0) is None
    refused = guesses().refusal(TOKENS, FAR, None, offers, 0.0)
    assert refused is not None
    assert refused.status == 401


def test_each_token_of_a_request_counts() -> None:
    limit = guesses()
    limit.refusal(TOKENS, FAR, "Bearer a", ["earmark.token.Yg", "earmark.token.Yw"], 0.0)
    assert shown(limit, "right") == 2


def test_what_is_remembered_has_a_bound_and_the_oldest_is_forgotten_first() -> None:
    limit = guesses(most=2)
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        assert shown(limit, "right", address=address) == 0
        for n in range(4):
            shown(limit, f"wrong{n}", address=address)
    found = [shown(limit, "right", address=address) for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3")]
    assert found == [2, 0, 0]
