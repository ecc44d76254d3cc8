from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.ring import Ring
from tests.signals import ramp


def room(ring: Ring) -> int:
    """How many samples the buffer behind a view has room for."""
    base = ring.view(ring.end, ring.end).base
    assert isinstance(base, np.ndarray)
    return len(base)


@given(
    capacity=st.integers(1, 50),
    slack=st.integers(1, 20),
    steps=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 30)), max_size=30),
    reads=st.lists(st.tuples(st.integers(-10, 400), st.integers(0, 60)), max_size=10),
)
def test_a_read_gives_each_sample_at_its_position_and_zeros_elsewhere(
    capacity: int, slack: int, steps: list[tuple[int, int]], reads: list[tuple[int, int]]
) -> None:
    ring = Ring(capacity, slack)
    start = position = 0  # of what can be read if the ring is long enough, and of the next sample
    for gap, length in steps:
        position += gap
        start = position if gap else start
        assert ring.append(position, ramp(position + 1, position + 1 + length)) == gap
        position += length
    held_from = max(start, position - capacity)
    assert (ring.start, ring.end) == (held_from, position)
    for first, length in reads:
        expected = np.array(
            [at + 1 if held_from <= at < position else 0 for at in range(first, first + length)], dtype=np.float32
        )
        np.testing.assert_array_equal(ring.read(first, first + length), expected)


def test_a_gap_is_reported_and_nothing_before_it_can_be_read() -> None:
    ring = Ring(100)
    ring.append(0, ramp(0, 50))

    assert ring.append(60, ramp(60, 80)) == 10

    assert (ring.start, ring.end) == (60, 80)
    with pytest.raises(ValueError, match=r"\[40, 70\) is not within \[60, 80\)"):
        ring.view(40, 70)


def test_positions_never_go_back() -> None:
    ring = Ring(100)
    ring.append(0, ramp(0, 50))

    with pytest.raises(ValueError, match="samples at 49 overlap the stream, which ends at 50"):
        ring.append(49, ramp(49, 60))


def test_a_block_longer_than_the_ring_leaves_its_newest_part() -> None:
    ring = Ring(10)
    ring.append(0, ramp(0, 35))

    np.testing.assert_array_equal(ring.view(25, 35), ramp(25, 35))
    assert ring.start == 25


def test_what_was_read_does_not_change_when_the_ring_goes_on() -> None:
    ring = Ring(10, slack=2)
    ring.append(0, ramp(0, 10))
    kept = ring.read(2, 8)

    ring.append(10, ramp(10, 20))

    np.testing.assert_array_equal(kept, ramp(2, 8))
    assert not kept.flags.writeable


@pytest.mark.parametrize("capacity", [0, -1])
def test_a_ring_that_holds_nothing_is_refused(capacity: int) -> None:
    with pytest.raises(ValueError, match=f"^a ring of {capacity} samples holds nothing$"):
        Ring(capacity)


def test_a_ring_of_one_sample_holds_the_newest() -> None:
    ring = Ring(1)
    ring.append(0, ramp(0, 1))
    ring.append(1, ramp(1, 2))
    assert (ring.start, ring.end, ring.view(1, 2).tolist()) == (1, 2, [1])


def test_a_new_ring_is_empty_and_begins_at_zero() -> None:
    ring = Ring(10)
    assert (ring.capacity, ring.start, ring.end, len(ring.view(0, 0))) == (10, 0, 0, 0)
    assert ring.read(0, 3).tolist() == [0, 0, 0]


def test_samples_are_float32_whatever_came_in() -> None:
    ring = Ring(10)
    ring.append(0, np.arange(4, dtype=np.float64))  # type: ignore[arg-type]
    assert ring.view(0, 4).dtype == ring.read(-2, 6).dtype == np.float32


def test_the_slack_is_as_said_or_an_eighth_of_the_capacity_but_8192_samples_at_least() -> None:
    assert room(Ring(10, slack=3)) == 13
    assert room(Ring(10)) == 10 + 8192
    assert room(Ring(8 * 8192)) == 9 * 8192
    assert room(Ring(8 * 10_000)) == 9 * 10_000


def test_the_first_sample_may_lie_anywhere() -> None:
    ring = Ring(10)
    assert ring.append(1000, ramp(0, 4)) == 1000
    assert (ring.start, ring.end) == (1000, 1004)
    assert ring.view(1000, 1004).tolist() == [0, 1, 2, 3]


def test_a_block_as_long_as_the_ring_takes_the_place_of_all() -> None:
    for length in (9, 10, 11):
        ring = Ring(10, slack=5)
        ring.append(0, ramp(0, 7))
        assert ring.append(7, ramp(7, 7 + length)) == 0
        assert (ring.start, ring.end) == (length - 3, length + 7)
        np.testing.assert_array_equal(ring.view(length - 3, length + 7), ramp(length - 3, length + 7))


def test_after_a_block_as_long_as_the_ring_the_stream_goes_on() -> None:
    ring = Ring(10, slack=2)
    ring.append(0, ramp(0, 10))
    for start in range(10, 40, 3):
        ring.append(start, ramp(start, start + 3))
        np.testing.assert_array_equal(ring.view(start - 7, start + 3), ramp(start - 7, start + 3))


@pytest.mark.parametrize("length", [1, 2, 3, 7, 9])
def test_the_newest_samples_survive_every_move_to_the_front(length: int) -> None:
    ring = Ring(10, slack=3)
    for start in range(0, 40 * length, length):
        end = start + length
        ring.append(start, ramp(start, end))
        assert (ring.start, ring.end) == (max(0, end - 10), end)
        np.testing.assert_array_equal(ring.view(ring.start, end), ramp(ring.start, end))


def test_what_lies_in_the_slack_cannot_be_read() -> None:
    ring = Ring(10, slack=5)
    ring.append(0, ramp(0, 9))
    ring.append(9, ramp(9, 12))
    assert ring.start == 2
    np.testing.assert_array_equal(ring.view(2, 12), ramp(2, 12))
    with pytest.raises(ValueError, match=r"^\[1, 12\) is not within \[2, 12\)$"):
        ring.view(1, 12)


@pytest.mark.parametrize(("start", "end"), [(19, 25), (20, 31), (30, 31), (26, 25), (31, 31), (0, 0)])
def test_a_view_is_refused_where_not_all_is_there(start: int, end: int) -> None:
    ring = Ring(100)
    ring.append(20, ramp(20, 30))
    with pytest.raises(ValueError, match=rf"^\[{start}, {end}\) is not within \[20, 30\)$"):
        ring.view(start, end)


def test_a_view_may_be_of_all_that_is_there_and_of_nothing() -> None:
    ring = Ring(100)
    ring.append(20, ramp(20, 30))
    assert [len(ring.view(*span)) for span in [(20, 30), (20, 20), (30, 30), (25, 26)]] == [10, 0, 0, 1]
    assert np.shares_memory(ring.view(20, 30), ring.view(25, 26))


def test_a_read_has_zeros_before_and_after_what_is_there() -> None:
    ring = Ring(100)
    ring.append(20, ramp(20, 23))
    assert ring.read(18, 25).tolist() == [0, 0, 20, 21, 22, 0, 0]
    assert ring.read(21, 22).tolist() == [21]
    assert ring.read(10, 20).tolist() == [0] * 10
    assert ring.read(23, 25).tolist() == ring.read(90, 92).tolist() == [0, 0]


def test_samples_that_were_refused_change_nothing() -> None:
    ring = Ring(100)
    ring.append(0, ramp(0, 50))
    with pytest.raises(ValueError, match="overlap"):
        ring.append(49, ramp(49, 60))
    assert (ring.start, ring.end) == (0, 50)
    assert ring.append(50, ramp(50, 51)) == 0
    np.testing.assert_array_equal(ring.view(0, 51), ramp(0, 51))


def test_an_empty_block_is_only_the_news_of_a_gap() -> None:
    ring = Ring(100)
    ring.append(0, ramp(0, 50))
    assert ring.append(50, ramp(50, 50)) == 0
    assert (ring.start, ring.end) == (0, 50)
    assert ring.append(51, ramp(51, 51)) == 1
    assert (ring.start, ring.end) == (51, 51)


def test_a_ring_that_grows_keeps_its_samples_and_then_more_of_them() -> None:
    ring = Ring(100, slack=10)
    ring.append(0, ramp(0, 250))
    ring.grow(300)
    assert (ring.start, ring.end, ring.capacity) == (150, 250, 300)
    np.testing.assert_array_equal(ring.view(150, 250), ramp(150, 250))
    for start in range(250, 1000, 50):
        ring.append(start, ramp(start, start + 50))
    assert (ring.start, ring.end) == (700, 1000)
    np.testing.assert_array_equal(ring.view(700, 1000), ramp(700, 1000))


def test_a_ring_never_shrinks() -> None:
    ring = Ring(100)
    ring.append(0, ramp(0, 100))
    for capacity in (100, 99, 1):
        ring.grow(capacity)
    assert (ring.start, ring.end, ring.capacity) == (0, 100, 100)


def test_samples_move_to_the_front_only_when_the_buffer_is_full() -> None:
    ring = Ring(10, slack=10)
    for start in (0, 8):
        ring.append(start, ramp(start, start + 8))
    before = ring.view(10, 16)
    ring.append(16, ramp(16, 20))
    assert np.shares_memory(before, ring.view(10, 16))
    ring.append(20, ramp(20, 21))
    assert not np.shares_memory(before, ring.view(15, 21))


def test_a_ring_that_grows_has_an_eighth_of_slack_but_no_less_than_before() -> None:
    for slack, capacity, expected in [(10, 800, 900), (50, 200, 250), (10, 100, 110)]:
        ring = Ring(100, slack)
        ring.grow(capacity)
        assert room(ring) == expected
        assert ring.view(0, 0).dtype == np.float32


def test_what_lay_in_the_slack_is_gone_when_the_ring_grows() -> None:
    ring = Ring(10, slack=10)
    ring.append(0, ramp(0, 9))
    ring.append(9, ramp(9, 15))
    ring.grow(30)
    assert (ring.start, ring.end) == (5, 15)
    np.testing.assert_array_equal(ring.view(5, 15), ramp(5, 15))
