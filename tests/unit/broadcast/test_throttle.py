from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.throttle import Held, Key, Throttle

DESK: Key = ("desk", "emotion")
DOOR: Key = ("door", "emotion")


def sent(thinner: Throttle, now: float) -> list[int]:
    return [held.seq for held in thinner.due(now)]


def test_the_first_goes_at_once_and_the_newest_when_the_time_has_come() -> None:
    thinner = Throttle(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.next_due() is None
    assert not thinner.offer(2, DESK, b"", 10.2)
    assert not thinner.offer(3, DESK, b"", 10.999)
    assert thinner.next_due() == 11.0
    assert sent(thinner, 10.999) == []
    assert sent(thinner, 11.0) == [3]
    assert sent(thinner, 12.0) == []
    assert not thinner.offer(4, DESK, b"", 11.5)


def test_a_result_after_its_time_goes_at_once() -> None:
    thinner = Throttle(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.offer(2, DESK, b"", 11.0)


def test_sources_are_thinned_apart() -> None:
    thinner = Throttle(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.offer(2, DOOR, b"", 10.1)


def test_a_held_result_is_given_up_when_a_later_event_went_out() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    thinner.passed(3)
    assert sent(thinner, 11.0) == []
    assert thinner.next_due() is None


def test_a_held_result_comes_out_as_it_went_in() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"one", 10.0)
    thinner.offer(2, DESK, b"two", 10.5)
    thinner.offer(3, DESK, b"three", 10.6)
    assert thinner.due(11.0) == [Held(3, DESK, b"three")]
    assert (thinner.due(20.0), thinner.next_due()) == ([], None)


def test_nothing_is_due_where_nothing_was_offered() -> None:
    thinner = Throttle(1.0)
    assert (thinner.every, thinner.due(10.0), thinner.next_due()) == (1.0, [], None)


def test_a_result_that_waited_counts_from_when_it_went_out() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    assert sent(thinner, 11.25) == [2]
    assert not thinner.offer(3, DESK, b"", 12.2)
    assert thinner.next_due() == 12.25
    assert sent(thinner, 12.24) == []
    assert sent(thinner, 12.25) == [3]


def test_a_result_that_goes_at_once_counts_from_then_and_replaces_the_held_one() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    assert thinner.offer(3, DESK, b"", 11.5)
    assert (thinner.next_due(), sent(thinner, 12.0)) == (None, [])
    assert not thinner.offer(4, DESK, b"", 12.4)
    assert thinner.next_due() == 12.5


def two_sent() -> Throttle:
    """The desk may send again at 11.0, the door at 11.25."""
    thinner = Throttle(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.offer(2, DOOR, b"", 10.25)
    return thinner


def test_of_two_held_each_comes_at_its_own_time_and_the_earliest_is_next() -> None:
    thinner = two_sent()
    thinner.offer(3, DESK, b"", 10.5)
    thinner.offer(4, DOOR, b"", 10.5)
    assert (thinner.next_due(), sent(thinner, 10.9)) == (11.0, [])
    assert (sent(thinner, 11.0), thinner.next_due()) == ([3], 11.25)
    assert (sent(thinner, 11.25), thinner.next_due()) == ([4], None)


def test_one_that_is_not_due_yet_does_not_keep_a_later_one_back() -> None:
    thinner = two_sent()
    thinner.offer(3, DOOR, b"", 10.5)
    thinner.offer(4, DESK, b"", 10.5)
    assert sent(thinner, 11.0) == [4]


def test_results_due_at_once_come_in_the_order_of_their_numbers() -> None:
    thinner = two_sent()
    for seq, key in [(3, DOOR), (4, DESK), (5, DOOR)]:
        thinner.offer(seq, key, b"", 10.5)
    assert sent(thinner, 12.0) == [4, 5]


def test_a_held_result_is_given_up_when_a_later_one_came_due_before() -> None:
    thinner = two_sent()
    thinner.offer(3, DOOR, b"", 10.5)
    thinner.offer(4, DESK, b"", 10.6)
    assert sent(thinner, 11.0) == [4]
    assert (sent(thinner, 11.25), thinner.next_due()) == ([], None)


def test_a_held_result_is_given_up_when_a_later_one_went_at_once() -> None:
    thinner = two_sent()
    thinner.offer(3, DOOR, b"", 10.5)
    assert thinner.offer(4, DESK, b"", 11.0)
    assert sent(thinner, 11.25) == []


def test_a_held_result_is_not_given_up_for_an_earlier_event() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.passed(2)
    thinner.offer(3, DESK, b"", 10.5)
    assert sent(thinner, 11.0) == [3]


def test_the_highest_number_that_went_out_counts_not_the_last() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(3, DESK, b"", 10.5)
    thinner.passed(4)
    thinner.passed(2)
    assert sent(thinner, 11.0) == []


def test_no_number_goes_out_twice() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    thinner.passed(2)
    assert sent(thinner, 11.0) == []


def test_what_was_given_up_does_not_count_as_sent() -> None:
    thinner = Throttle(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    thinner.passed(3)
    assert sent(thinner, 11.0) == []
    assert thinner.offer(4, DESK, b"", 11.1)


@given(st.lists(st.tuples(st.sampled_from([DESK, DOOR]), st.integers(0, 30), st.booleans()), max_size=60))
def test_numbers_rise_and_no_key_comes_too_often(steps: list[tuple[Key, int, bool]]) -> None:
    thinner = Throttle(1.0)
    out: list[int] = []
    when: dict[Key, list[float]] = {DESK: [], DOOR: []}
    now = 0.0
    for seq, (key, tenths, is_other) in enumerate(steps, start=1):
        now += tenths / 16
        for held in thinner.due(now):
            out.append(held.seq)
            when[held.key].append(now)
        if is_other:
            thinner.passed(seq)
            out.append(seq)
        elif thinner.offer(seq, key, b"", now):
            out.append(seq)
            when[key].append(now)
    assert out == sorted(set(out))
    for times in when.values():
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
