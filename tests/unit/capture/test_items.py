from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Block
from earmark.capture.items import Ended, Item, Started, joined
from tests.signals import ramp

RATE = 1000


def block(start: int, end: int, rate: int = RATE) -> Block:
    return Block(start, ramp(start, end), rate, captured=end)


def told(items: Sequence[Item]) -> list[tuple[int, int, int] | str]:
    """Start, end and rate of each block, and the type of each notice."""
    return [
        (item.position, item.position + len(item.samples), item.rate)
        if isinstance(item, Block)
        else type(item).__name__
        for item in items
    ]


def test_blocks_that_follow_each_other_become_one_with_the_time_of_the_last() -> None:
    (one,) = joined([block(10, 20), block(20, 25), block(25, 40)])
    assert isinstance(one, Block)
    assert (one.position, one.rate, one.captured) == (10, RATE, 40)
    np.testing.assert_array_equal(one.samples, ramp(10, 40))


def test_blocks_are_not_joined_across_a_jump_a_notice_or_a_change_of_rate() -> None:
    items: list[Item] = [
        block(0, 10),
        block(11, 20),
        Started("device", RATE),
        block(20, 30),
        block(30, 40, 2 * RATE),
        Ended(),
    ]
    assert told(joined(items)) == told(items)


@given(st.lists(st.tuples(st.booleans(), st.integers(1, 5)), max_size=12))
def test_joining_loses_no_sample_and_leaves_no_two_blocks_that_follow(steps: list[tuple[bool, int]]) -> None:
    items: list[Item] = []
    at = 0
    for jumps, length in steps:
        at += 3 * jumps
        items.append(block(at, at + length))
        at += length
    blocks = [item for item in joined(items) if isinstance(item, Block)]
    samples = [sample for each in blocks for sample in each.samples.tolist()]
    assert samples == [sample for item in items if isinstance(item, Block) for sample in item.samples.tolist()]
    assert all(each.samples[0] == each.position for each in blocks)
    ends = [each.position + len(each.samples) for each in blocks]
    assert all(end < following.position for end, following in zip(ends, blocks[1:], strict=False))


def test_a_block_alone_is_passed_on_and_not_copied() -> None:
    alone = block(10, 20)
    assert list(joined([alone])) == [alone]
    assert list(joined([])) == []
