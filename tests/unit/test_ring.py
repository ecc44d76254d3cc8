from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.core.ring import Ring
from tests.signals import ramp


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
