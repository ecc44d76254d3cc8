from __future__ import annotations

from earmark_client.routing.outcome import LONGEST_PAUSE, Outcome, pause_before


def test_each_pause_is_twice_the_one_before_up_to_a_limit() -> None:
    failed = Outcome("failed", again=True)
    assert [pause_before(tries, failed) for tries in (1, 2, 3, 4)] == [1, 2, 4, 8]
    assert pause_before(20, failed) == LONGEST_PAUSE


def test_what_the_other_side_asks_for_is_waited_for_within_the_limit() -> None:
    assert pause_before(1, Outcome("failed", again=True, pause=7)) == 7
    assert pause_before(1, Outcome("failed", again=True, pause=7000)) == LONGEST_PAUSE
