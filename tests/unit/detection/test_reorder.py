from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.detection.reorder import ReorderBuffer


def test_an_early_outcome_waits_for_the_one_before_it() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    first, second = buffer.reserve("a"), buffer.reserve("b")

    assert buffer.resolve(second, 2) == []
    assert buffer.resolve(first, 1) == [("a", 1), ("b", 2)]
    assert len(buffer) == 0


def test_an_item_without_an_outcome_keeps_its_place() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    first = buffer.reserve("a")

    assert buffer.append("closed") == []
    assert buffer.resolve(first, None) == [("a", None), ("closed", None)]


def test_the_first_unresolved_is_the_ticket_that_everything_waits_for() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert buffer.first_unresolved() is None

    first, second = buffer.reserve("a"), buffer.reserve("b")
    buffer.resolve(second, 2)
    assert buffer.first_unresolved() is first
    buffer.resolve(first, 1)
    assert buffer.first_unresolved() is None


def test_the_buffer_counts_everything_that_waits() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert len(buffer) == 0
    first = buffer.reserve("a")
    buffer.append("closed")
    assert len(buffer) == 2
    buffer.resolve(first, 1)
    assert len(buffer) == 0


def test_an_item_without_an_outcome_comes_out_at_once_where_nothing_waits() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert buffer.append("closed") == [("closed", None)]


@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_the_outcomes_the_items_come_out_in_order_once(order: list[int]) -> None:
    buffer: ReorderBuffer[int, int] = ReorderBuffer()
    tickets = [buffer.reserve(number) for number in range(8)]

    released = [pair for number in order for pair in buffer.resolve(tickets[number], -number)]

    assert released == [(number, -number) for number in range(8)]
