from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.detection.reorder import Lane


def test_an_early_answer_waits_for_the_one_before_it() -> None:
    lane: Lane[str, int] = Lane()
    first, second = lane.expect("a"), lane.expect("b")

    assert lane.answer(second, 2) == []
    assert lane.answer(first, 1) == [("a", 1), ("b", 2)]
    assert len(lane) == 0


def test_news_keeps_its_place() -> None:
    lane: Lane[str, int] = Lane()
    first = lane.expect("a")

    assert lane.note("closed") == []
    assert lane.answer(first, None) == [("a", None), ("closed", None)]


def test_the_first_unknown_is_the_place_that_everything_waits_for() -> None:
    lane: Lane[str, int] = Lane()
    assert lane.first_unknown() is None

    first, second = lane.expect("a"), lane.expect("b")
    lane.answer(second, 2)
    assert lane.first_unknown() is first
    lane.answer(first, 1)
    assert lane.first_unknown() is None


def test_the_lane_counts_what_waits_news_included() -> None:
    lane: Lane[str, int] = Lane()
    assert len(lane) == 0
    first = lane.expect("a")
    lane.note("closed")
    assert len(lane) == 2
    lane.answer(first, 1)
    assert len(lane) == 0


def test_news_comes_out_at_once_where_nothing_waits() -> None:
    lane: Lane[str, int] = Lane()
    assert lane.note("closed") == [("closed", None)]


@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_the_answers_they_come_out_in_order_once(order: list[int]) -> None:
    lane: Lane[int, int] = Lane()
    places = [lane.expect(number) for number in range(8)]

    released = [pair for number in order for pair in lane.answer(places[number], -number)]

    assert released == [(number, -number) for number in range(8)]
