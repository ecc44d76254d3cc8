"""The clocks are played; a machine that is really suspended makes the same of them (CLOCK_BOOTTIME, Linux)."""

from __future__ import annotations

import time

import pytest

from earmark.devices.suspension import Suspension, since_boot

SECOND = 1_000_000_000


class Clocks:
    """A monotonic clock and the one that goes on while the machine is suspended, at `slow` ns for each reading."""

    def __init__(self, slow: int = 0, slept: float = 0.0) -> None:
        self.awake = 5 * SECOND
        self.slept = round(slept * SECOND)
        self.slow = slow
        self.suspension = Suspension(self.monotonic, self.boottime)

    def monotonic(self) -> int:
        self.awake += self.slow
        return self.awake

    def boottime(self) -> int:
        return self.monotonic() + self.slept

    def sleep(self, seconds: float) -> None:
        self.slept += round(seconds * SECOND)


def test_a_suspension_is_told_once_and_for_as_long_as_it_was() -> None:
    clocks = Clocks()
    assert clocks.suspension.seconds() == 0
    clocks.sleep(3600)
    assert [clocks.suspension.seconds(), clocks.suspension.seconds()] == [3600, 0]
    clocks.sleep(60)
    clocks.sleep(1)
    assert clocks.suspension.seconds() == 61


def test_time_in_which_the_machine_ran_is_none() -> None:
    clocks = Clocks()
    clocks.awake += 3600 * SECOND
    assert clocks.suspension.seconds() == 0


def test_suspensions_before_it_was_made_are_none() -> None:
    assert Clocks(slept=3600).suspension.seconds() == 0


def test_less_than_half_a_second_is_kept_until_it_is_more() -> None:
    clocks = Clocks()
    clocks.sleep(0.499)
    assert clocks.suspension.seconds() == 0
    clocks.sleep(0.001)
    assert clocks.suspension.seconds() == 0.5


def test_a_thread_that_stood_still_between_the_readings_takes_nothing_for_a_suspension() -> None:
    clocks = Clocks()
    clocks.slow = 3 * SECOND
    assert clocks.suspension.seconds() == 0
    clocks.slow = 0
    assert clocks.suspension.seconds() == 0
    clocks.sleep(60)
    clocks.slow = SECOND
    assert clocks.suspension.seconds() == 0, "it cannot be told now"
    clocks.slow = 0
    assert clocks.suspension.seconds() == 60


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="this system has no clock that counts suspensions")
def test_the_clocks_of_this_machine_agree_while_it_runs() -> None:
    before = since_boot() - time.monotonic_ns()
    suspension = Suspension()
    assert suspension.seconds() == 0
    assert since_boot() - time.monotonic_ns() - before < SECOND
