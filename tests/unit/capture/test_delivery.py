from __future__ import annotations

import pytest

from earmark.capture.delivery import LONG_PAUSE_SECONDS, SHORT_PAUSE_SECONDS, Delivery


def begun(stall_seconds: float = 2.0) -> Delivery:
    return Delivery(stall_seconds, now=100.0)


@pytest.mark.parametrize(
    ("silent", "lull"),
    [(0.0, ""), (0.375, ""), (0.4375, "short"), (0.75, "short"), (0.8125, "long"), (1.9375, "long"), (2.0, "stall")],
)
def test_the_longer_nothing_comes_the_deeper_the_lull(silent: float, lull: str) -> None:
    delivery = begun()
    delivery.came(1.0, 101.0)
    assert delivery.lull(101.0 + silent) == lull


def test_a_source_stalls_too_if_nothing_ever_came() -> None:
    assert begun().lull(102.0) == "stall"


def test_bursts_are_no_stall_while_what_they_delivered_would_still_be_played() -> None:
    delivery = begun()
    for segment in range(10):
        delivery.came(6.0, 100.0 + 6 * segment)
        assert delivery.lull(105.9 + 6 * segment) == "short"
    assert delivery.lull(161.9) == "long"
    assert delivery.lull(162.0) == "stall"


def test_a_flood_does_not_hide_a_stall_for_long() -> None:
    delivery = begun()
    delivery.came(10_000.0, 100.0)
    assert delivery.lull(161.9) == "long"
    assert delivery.lull(162.0) == "stall"


def test_a_source_whose_clock_is_slow_is_not_stalled_while_it_delivers() -> None:
    delivery = begun()
    for second in range(1, 101):
        delivery.came(0.9, 100.0 + second)
        assert delivery.lull(100.1 + second) == ""


def test_what_is_missing_is_counted_from_the_end_of_what_came() -> None:
    delivery = begun()
    delivery.came(6.0, 100.0)
    assert delivery.behind(109.0) == 3.0


def test_the_time_after_which_it_counts_as_stalled_can_be_set() -> None:
    delivery = begun(stall_seconds=0.5)
    assert delivery.lull(100.49) == "short"
    assert delivery.lull(100.5) == "stall"


@pytest.mark.parametrize(
    ("silent", "lull"), [(SHORT_PAUSE_SECONDS, "short"), (LONG_PAUSE_SECONDS, "long"), (2.0, "stall")]
)
def test_a_lull_begins_exactly_at_its_time(silent: float, lull: str) -> None:
    assert Delivery(2.0, now=0.0).lull(silent) == lull


def test_a_source_that_begins_again_owes_nothing_and_has_nothing_ahead() -> None:
    late, ahead = begun(), begun()
    ahead.came(30.0, 101.0)
    for delivery in (late, ahead):
        delivery.begin(110.0)
        assert (delivery.lull(110.0), delivery.behind(111.0)) == ("", 1.0)
