from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import parse
from earmark.history.kept import HistoryQuery
from earmark.history.pages import page
from earmark.protocol.events import Source, encode


def event(seq: int, source: str = "desk") -> Published:
    made = Source(seq, f"2026-11-22T07:31:{seq:02}.000Z", source, "quiet")
    return Published(made, encode(made))


def second(number: int) -> datetime:
    return datetime(2026, 11, 22, 7, 31, number, tzinfo=UTC)


EVENTS = [event(seq, "desk" if seq % 2 else "hall") for seq in range(1, 11)]


def found(query: HistoryQuery) -> tuple[list[int], int | None]:
    answer = page(EVENTS, query)
    return [published.event.seq for published in answer.events], answer.next


def test_the_newest_page_comes_first_and_newest_first() -> None:
    assert found(HistoryQuery(limit=3)) == ([10, 9, 8], 8)


def test_the_next_page_lies_below_the_cursor() -> None:
    assert found(HistoryQuery(before=8, limit=3)) == ([7, 6, 5], 5)


def test_with_a_position_the_page_goes_onward_from_there() -> None:
    assert found(HistoryQuery(since=4, limit=3)) == ([5, 6, 7], 7)


@pytest.mark.parametrize(
    "query", [HistoryQuery(since=7, limit=3), HistoryQuery(before=4, limit=3), HistoryQuery(since=10)]
)
def test_the_last_page_has_no_next(query: HistoryQuery) -> None:
    assert found(query)[1] is None


def test_times_include_their_beginning_and_not_their_end() -> None:
    assert found(HistoryQuery(from_time=second(3), to_time=second(5))) == ([4, 3], None)
    assert found(HistoryQuery(from_time=second(9))) == ([10, 9], None)
    assert found(HistoryQuery(to_time=second(2))) == ([1], None)


def test_the_filter_chooses() -> None:
    assert found(HistoryQuery(parse({"sources": "hall"}), limit=2)) == ([10, 8], 8)
    assert found(HistoryQuery(parse({"types": "label"}))) == ([], None)


@given(st.integers(1, 12), st.integers(-1, 12), st.booleans())
def test_pages_together_hold_everything_once(limit: int, since: int, forward: bool) -> None:
    query = HistoryQuery(since=since if forward else None, limit=limit)
    collected: list[int] = []
    while True:
        seqs, cursor = found(query)
        collected += seqs
        if cursor is None:
            break
        query = HistoryQuery(since=cursor if forward else None, before=None if forward else cursor, limit=limit)
    assert collected == (list(range(max(since, 0) + 1, 11)) if forward else list(range(10, 0, -1)))
