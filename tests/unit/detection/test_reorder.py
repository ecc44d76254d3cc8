from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.detection.reorder import ReorderBuffer


def test_an_early_answer_waits_for_the_one_before_it() -> None:
    lane: ReorderBuffer[str, int] = ReorderBuffer()
    first, second = lane.reserve("a"), lane.reserve("b")

    assert lane.resolve(second, 2) == []
    assert lane.resolve(first, 1) == [("a", 1), ("b", 2)]
    assert len(lane) == 0


def test_news_keeps_its_place() -> None:
    lane: ReorderBuffer[str, int] = ReorderBuffer()
    first = lane.reserve("a")

    assert lane.append("closed") == []
    assert lane.resolve(first, None) == [("a", None), ("closed", None)]


def test_the_first_unknown_is_the_place_that_everything_waits_for() -> None:
    lane: ReorderBuffer[str, int] = ReorderBuffer()
    assert lane.first_unknown() is None

    first, second = lane.reserve("a"), lane.reserve("b")
    lane.resolve(second, 2)
    assert lane.first_unknown() is first
    lane.resolve(first, 1)
    assert lane.first_unknown() is None


def test_the_lane_counts_what_waits_news_included() -> None:
    lane: ReorderBuffer[str, int] = ReorderBuffer()
    assert len(lane) == 0
    first = lane.reserve("a")
    lane.append("closed")
    assert len(lane) == 2
    lane.resolve(first, 1)
    assert len(lane) == 0


def test_news_comes_out_at_once_where_nothing_waits() -> None:
    lane: ReorderBuffer[str, int] = ReorderBuffer()
    assert lane.append("closed") == [("closed", None)]


@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_the_answers_they_come_out_in_order_once(order: list[int]) -> None:
    lane: ReorderBuffer[int, int] = ReorderBuffer()
    places = [lane.reserve(number) for number in range(8)]

    released = [pair for number in order for pair in lane.resolve(places[number], -number)]

    assert released == [(number, -number) for number in range(8)]
