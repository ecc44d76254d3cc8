from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.sink import Published
from earmark.history.kept import HistoryQuery
from earmark.history.recent import Recent
from earmark.protocol.events import Source, encode

TIME = "2026-11-22T07:31:05.120Z"


def event(seq: int) -> Published:
    made = Source(seq, TIME, "desk", "quiet")
    return Published(made, encode(made))


def recent(upto: int, events: int = 3, newest: int = 0) -> Recent:
    kept = Recent("9f2c", newest, events)
    for seq in range(newest + 1, upto + 1):
        kept.publish(event(seq))
    return kept


def seqs(events: list[Published] | None) -> list[int] | None:
    return None if events is None else [published.event.seq for published in events]


def after(kept: Recent, seq: int, limit: int) -> list[int]:
    return [published.event.seq for published in asyncio.run(kept.after(seq, limit))]


def test_nothing_is_kept_before_the_first_event() -> None:
    kept = recent(0)
    assert (kept.epoch, kept.newest, kept.oldest, len(kept)) == ("9f2c", 0, 1, 0)
    assert kept.since(0) == []


def test_the_numbering_goes_on_from_what_was_published_before() -> None:
    kept = recent(40, newest=40)
    assert (kept.newest, kept.oldest, kept.since(40), kept.since(39)) == (40, 41, [], None)
    kept.publish(event(41))
    assert (kept.newest, kept.oldest, seqs(kept.since(40))) == (41, 41, [41])


def test_the_newest_events_are_kept_and_older_ones_forgotten() -> None:
    kept = recent(5)
    assert (kept.newest, kept.oldest, len(kept)) == (5, 3, 3)


def test_memory_says_when_it_does_not_reach_back_so_far() -> None:
    kept = recent(5)
    assert [seqs(kept.since(seq)) for seq in (1, 2, 3, 5, 6)] == [None, [3, 4, 5], [4, 5], [], []]


def test_a_page_has_a_limit() -> None:
    kept = recent(5, events=9)
    assert (seqs(kept.since(1, 2)), after(kept, 1, 2)) == ([2, 3], [2, 3])


def test_what_was_forgotten_is_missing_in_a_page() -> None:
    assert (after(recent(5), 0, 2), after(recent(5), 5, 2)) == ([3, 4], [])


def test_text_has_a_bound() -> None:
    size = len(event(1).text)
    kept = Recent("9f2c", max_bytes=2 * size)
    for seq in (1, 2):
        kept.publish(event(seq))
    assert kept.oldest == 1
    kept.publish(event(3))
    assert (kept.oldest, kept.newest) == (2, 3)


def test_an_event_that_is_larger_than_the_bound_is_not_kept() -> None:
    kept = Recent("9f2c", max_bytes=len(event(1).text) - 1)
    kept.publish(event(1))
    assert (kept.oldest, kept.newest, len(kept)) == (2, 1, 0)


def test_what_lies_before_a_hole_is_forgotten() -> None:
    kept = recent(3)
    kept.publish(event(7))
    assert (kept.oldest, kept.newest, seqs(kept.since(6)), kept.since(5)) == (7, 7, [7], None)


def test_nothing_is_kept_where_no_events_may_be() -> None:
    kept = recent(5, events=0)
    assert (kept.oldest, kept.newest, kept.since(5), kept.since(4)) == (6, 5, [], None)


def test_history_comes_from_memory() -> None:
    page = asyncio.run(recent(5).search(HistoryQuery(limit=2)))
    assert ([published.event.seq for published in page.events], page.next) == ([5, 4], 4)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 25))
def test_memory_holds_the_newest_events_whatever_its_size(published: int, size: int, seq: int) -> None:
    kept = recent(published, size)
    first = max(1, published - size + 1)
    assert kept.oldest == first
    assert seqs(kept.since(seq)) == (None if seq < first - 1 else list(range(seq + 1, published + 1)))


def test_numbers_that_will_never_come_are_skipped_and_what_was_before_them_is_forgotten() -> None:
    kept = recent(upto=5)
    kept.skip(8)
    assert (kept.newest, kept.oldest, kept.since(8), kept.since(4)) == (8, 9, [], None)
    kept.publish(event(9))
    assert seqs(kept.since(8)) == [9]


def test_numbers_that_are_passed_over_are_not_missing() -> None:
    kept = recent(2)
    kept.pass_over(8)
    kept.publish(event(9))
    assert (kept.newest, kept.oldest, [seqs(kept.since(seq)) for seq in (0, 1, 5, 8, 9)]) == (
        9,
        1,
        [[1, 2, 9], [2, 9], [9], [9], []],
    )
    kept.publish(event(10))
    assert (kept.oldest, kept.since(0), seqs(kept.since(1))) == (2, None, [2, 9, 10])
    kept.skip(20)
    assert (kept.newest, kept.oldest, len(kept), kept.since(19), kept.since(20)) == (20, 21, 0, None, [])
