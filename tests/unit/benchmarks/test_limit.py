from __future__ import annotations

import itertools

import pytest

from benchmarks.limit import arrivals, delays, largest, room


class Counted:
    """Streams whose rounds cost so many seconds for themselves, and so many for each block."""

    def __init__(self, a_round: float, a_block: float) -> None:
        self._a_round, self._a_block = a_round, a_block
        self.waiting = 0

    def offer(self, number: int) -> None:
        self.waiting += 1

    def round(self) -> float:
        blocks, self.waiting = self.waiting, 0
        return self._a_round + blocks * self._a_block


def test_blocks_come_in_order_one_of_each_stream_in_turn() -> None:
    first, second = (list(itertools.islice(arrivals(8, 0.02), start, start + 8)) for start in (0, 8))
    assert sorted(number for _, number in first) == list(range(8))
    assert [(at + 0.02, number) for at, number in first] == second
    assert [at for at, _ in first] == sorted(at for at, _ in first)


def test_a_block_waits_for_the_round_at_work_and_for_its_own() -> None:
    waited = delays(Counted(0.05, 0.0), 100, 0.02, 2.0, 1.0)
    assert 0.05 <= min(waited) < 0.051
    assert 0.099 < max(waited) <= 0.1


def test_a_slower_core_makes_them_wait_longer() -> None:
    assert max(delays(Counted(0.05, 0.0), 100, 0.02, 2.0, 2.0)) == pytest.approx(0.2, abs=0.001)


def test_the_largest_factor_is_found() -> None:
    assert largest(lambda factor: factor <= 3, 1, 10) == pytest.approx(3, rel=0.02)


def test_a_core_has_room_for_as_many_streams_as_it_hears_in_a_second_of_work() -> None:
    """A block of 20 ms costs 10 µs, so a second of a stream 0.5 ms."""
    assert room(Counted(0.0, 10e-6), 512, 0.02, 2.0, 1500) == pytest.approx(2000, rel=0.03)


def test_what_a_round_costs_is_shared_by_the_blocks_that_it_finds() -> None:
    """Rounds of 50 ms are just in time. One costs 10 ms, and 10 µs for each of 1,280 blocks: 22.8 ms."""
    assert room(Counted(0.01, 10e-6), 512, 0.02, 2.0, 1000) == pytest.approx(512 * 50 / 22.8, rel=0.05)
