from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.core.lane import Lane


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


@given(order=st.permutations(range(8)))
def test_whatever_the_order_of_the_answers_they_come_out_in_order_once(order: list[int]) -> None:
    lane: Lane[int, int] = Lane()
    places = [lane.expect(number) for number in range(8)]

    released = [pair for number in order for pair in lane.answer(places[number], -number)]

    assert released == [(number, -number) for number in range(8)]
