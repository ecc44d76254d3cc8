"""How long a process that died is mourned, and when its engine counts as failed."""

from __future__ import annotations

import pytest

from earmark.engines.deaths import HEALTHY_SECONDS, Deaths, Ended, Verdict

KILLED = Ended("was killed by SIGKILL")
REPLACED = Ended("ended so that the GPU is tried again", retired=True)
OUTGREW = Ended("grew to 900 MB", retired=True, outgrew=True)


def dead(times: int) -> Deaths:
    deaths = Deaths()
    for _ in range(times):
        deaths.ended(KILLED, 0.0)
    return deaths


def test_each_death_doubles_the_delay_up_to_half_a_minute() -> None:
    delays = [dead(times).delay(died=True, has_spare=False) for times in range(1, 9)]
    assert delays == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0]


def test_the_first_death_costs_nothing_where_a_spare_process_waits() -> None:
    assert [dead(times).delay(died=True, has_spare=True) for times in (1, 2)] == [0.0, 1.0]


@pytest.mark.parametrize(("times", "failed"), [(0, False), (4, False), (5, True), (6, True)])
def test_five_deaths_in_a_row_are_too_many(times: int, failed: bool) -> None:
    assert dead(times).too_many is failed


@pytest.mark.parametrize(("seconds", "proved", "left"), [(HEALTHY_SECONDS, True, 1), (HEALTHY_SECONDS - 0.1, False, 4)])
def test_a_process_that_has_served_for_a_while_takes_the_deaths_before_it_with_it(
    seconds: float, proved: bool, left: int
) -> None:
    deaths = dead(3)
    deaths.serves(100.0)
    assert deaths.ended(KILLED, 100.0 + seconds) == Verdict(proved, died=True)
    assert deaths.in_a_row == left


def test_what_one_process_has_served_does_not_count_for_the_next() -> None:
    deaths = dead(2)
    deaths.serves(0.0)
    deaths.ended(KILLED, 1.0)
    assert deaths.ended(KILLED, 1000.0) == Verdict(proved=False, died=True)
    assert deaths.in_a_row == 4


def test_a_process_that_was_replaced_did_not_die_and_the_next_one_comes_at_once() -> None:
    deaths = dead(2)
    assert deaths.ended(REPLACED, 1.0) == Verdict(proved=False, died=False)
    assert deaths.in_a_row == 2
    assert deaths.delay(died=False, has_spare=False) == 0.0


@pytest.mark.parametrize(("seconds", "died"), [(HEALTHY_SECONDS, False), (1.0, True)])
def test_a_process_that_outgrew_its_bound_died_if_that_was_soon(seconds: float, died: bool) -> None:
    deaths = Deaths()
    deaths.serves(0.0)
    assert deaths.ended(OUTGREW, seconds).died is died
    assert deaths.in_a_row == int(died)
