"""Tests of the count of refusals and its sentence."""

from __future__ import annotations

from earmark.perimeter.refusals import BY_STATUS, REASONS, Refusals, reason_of


def test_many_refusals_are_one_sentence_with_the_most_frequent_first_and_an_address_of_each() -> None:
    refusals = Refusals()
    refusals.add("host", "192.0.2.1")
    for n in range(3):
        refusals.add("wrong_token", f"203.0.113.{n}")
    assert refusals.take() == "3 with a wrong token (one from 203.0.113.2); 1 with a foreign Host (from 192.0.2.1)"


def test_what_was_told_is_not_told_again_and_stays_counted() -> None:
    refusals = Refusals()
    refusals.add("origin", "")
    assert refusals.take() == "1 from a foreign page (from a local socket)"
    assert refusals.take() == ""
    assert refusals.totals["origin"] == 1
    assert set(refusals.totals) == set(REASONS)


def test_each_status_that_names_no_reason_has_one() -> None:
    assert {reason_of(status) for status in (*BY_STATUS, 418)} <= set(REASONS)
    assert (reason_of(503), reason_of(429), reason_of(418)) == ("place", "rate", "other")
