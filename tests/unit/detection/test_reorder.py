from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.detection.reorder import Item, Outcome, ReorderBuffer, Ticket


def released(buffer: ReorderBuffer[Item, Outcome]) -> list[tuple[Item, Outcome | None]]:
    return [(ticket.item, ticket.outcome) for ticket in buffer.released()]


def resolved(
    buffer: ReorderBuffer[Item, Outcome], ticket: Ticket[Item, Outcome], outcome: Outcome | None
) -> list[tuple[Item, Outcome | None]]:
    """Fill a place, and return what comes out then."""
    buffer.resolve(ticket, outcome)
    return released(buffer)


def appended(buffer: ReorderBuffer[Item, Outcome], item: Item) -> list[tuple[Item, Outcome | None]]:
    """Take a place that needs no outcome, and return what comes out then."""
    buffer.append(item)
    return released(buffer)


def test_an_early_outcome_waits_for_the_one_before_it() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    first, second = buffer.reserve("a"), buffer.reserve("b")

    assert resolved(buffer, second, 2) == []
    assert resolved(buffer, first, 1) == [("a", 1), ("b", 2)]
    assert len(buffer) == 0


def test_an_item_without_an_outcome_keeps_its_place() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    first = buffer.reserve("a")

    assert appended(buffer, "closed") == []
    assert resolved(buffer, first, None) == [("a", None), ("closed", None)]


def test_the_first_unresolved_is_the_ticket_that_everything_waits_for() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert buffer.first_unresolved() is None

    first, second = buffer.reserve("a"), buffer.reserve("b")
    buffer.resolve(second, 2)
    assert buffer.first_unresolved() is first
    resolved(buffer, first, 1)
    assert buffer.first_unresolved() is None


def test_the_buffer_counts_everything_that_waits() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert len(buffer) == 0
    first = buffer.reserve("a")
    buffer.append("closed")
    assert len(buffer) == 2
    resolved(buffer, first, 1)
    assert len(buffer) == 0


def test_an_item_without_an_outcome_comes_out_at_once_where_nothing_waits() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    assert appended(buffer, "closed") == [("closed", None)]


@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_the_outcomes_the_items_come_out_in_order_once(order: list[int]) -> None:
    buffer: ReorderBuffer[int, int] = ReorderBuffer()
    tickets = [buffer.reserve(number) for number in range(8)]

    seen = [pair for number in order for pair in resolved(buffer, tickets[number], -number)]

    assert seen == [(number, -number) for number in range(8)]


def test_a_ticket_that_is_put_back_holds_everything_behind_it_until_it_is_resolved_again() -> None:
    buffer: ReorderBuffer[str, int] = ReorderBuffer()
    first, second = buffer.reserve("a"), buffer.reserve("b")
    buffer.resolve(second, 2)
    buffer.resolve(first, 1)

    for ticket in buffer.released():
        buffer.put_back(ticket)

    assert buffer.first_unresolved() is first
    assert (len(buffer), released(buffer)) == (2, [])
    assert resolved(buffer, first, 3) == [("a", 3), ("b", 2)]
