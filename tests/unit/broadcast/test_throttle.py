from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.throttle import Held, Key, Throttle

DESK: Key = ("desk", "emotion")
DOOR: Key = ("door", "emotion")


def sent(throttle: Throttle, now: float) -> list[int]:
    return [held.seq for held in throttle.due(now)]


def test_the_first_goes_at_once_and_the_newest_when_the_time_has_come() -> None:
    throttle = Throttle(1.0)
    assert throttle.offer(1, DESK, b"", 10.0)
    assert throttle.next_due() is None
    assert not throttle.offer(2, DESK, b"", 10.2)
    assert not throttle.offer(3, DESK, b"", 10.999)
    assert throttle.next_due() == 11.0
    assert sent(throttle, 10.999) == []
    assert sent(throttle, 11.0) == [3]
    assert sent(throttle, 12.0) == []
    assert not throttle.offer(4, DESK, b"", 11.5)


def test_a_result_after_its_time_goes_at_once() -> None:
    throttle = Throttle(1.0)
    assert throttle.offer(1, DESK, b"", 10.0)
    assert throttle.offer(2, DESK, b"", 11.0)


def test_sources_are_thinned_apart() -> None:
    throttle = Throttle(1.0)
    assert throttle.offer(1, DESK, b"", 10.0)
    assert throttle.offer(2, DOOR, b"", 10.1)


def test_a_held_result_is_given_up_when_a_later_event_went_out() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(2, DESK, b"", 10.5)
    throttle.passed(3)
    assert sent(throttle, 11.0) == []
    assert throttle.next_due() is None


def test_a_held_result_comes_out_as_it_went_in() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"one", 10.0)
    throttle.offer(2, DESK, b"two", 10.5)
    throttle.offer(3, DESK, b"three", 10.6)
    assert throttle.due(11.0) == [Held(3, DESK, b"three")]
    assert (throttle.due(20.0), throttle.next_due()) == ([], None)


def test_nothing_is_due_where_nothing_was_offered() -> None:
    throttle = Throttle(1.0)
    assert (throttle.every, throttle.due(10.0), throttle.next_due()) == (1.0, [], None)


def test_a_result_that_waited_counts_from_when_it_went_out() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(2, DESK, b"", 10.5)
    assert sent(throttle, 11.25) == [2]
    assert not throttle.offer(3, DESK, b"", 12.2)
    assert throttle.next_due() == 12.25
    assert sent(throttle, 12.24) == []
    assert sent(throttle, 12.25) == [3]


def test_a_result_that_goes_at_once_counts_from_then_and_replaces_the_held_one() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(2, DESK, b"", 10.5)
    assert throttle.offer(3, DESK, b"", 11.5)
    assert (throttle.next_due(), sent(throttle, 12.0)) == (None, [])
    assert not throttle.offer(4, DESK, b"", 12.4)
    assert throttle.next_due() == 12.5


def two_sent() -> Throttle:
    """The source may send again at 11.0, the door at 11.25."""
    throttle = Throttle(1.0)
    assert throttle.offer(1, DESK, b"", 10.0)
    assert throttle.offer(2, DOOR, b"", 10.25)
    return throttle


def test_of_two_held_each_comes_at_its_own_time_and_the_earliest_is_next() -> None:
    throttle = two_sent()
    throttle.offer(3, DESK, b"", 10.5)
    throttle.offer(4, DOOR, b"", 10.5)
    assert (throttle.next_due(), sent(throttle, 10.9)) == (11.0, [])
    assert (sent(throttle, 11.0), throttle.next_due()) == ([3], 11.25)
    assert (sent(throttle, 11.25), throttle.next_due()) == ([4], None)


def test_one_that_is_not_due_yet_does_not_keep_a_later_one_back() -> None:
    throttle = two_sent()
    throttle.offer(3, DOOR, b"", 10.5)
    throttle.offer(4, DESK, b"", 10.5)
    assert sent(throttle, 11.0) == [4]


def test_results_due_at_once_come_in_the_order_of_their_numbers() -> None:
    throttle = two_sent()
    for seq, key in [(3, DOOR), (4, DESK), (5, DOOR)]:
        throttle.offer(seq, key, b"", 10.5)
    assert sent(throttle, 12.0) == [4, 5]


def test_a_held_result_is_given_up_when_a_later_one_came_due_before() -> None:
    throttle = two_sent()
    throttle.offer(3, DOOR, b"", 10.5)
    throttle.offer(4, DESK, b"", 10.6)
    assert sent(throttle, 11.0) == [4]
    assert (sent(throttle, 11.25), throttle.next_due()) == ([], None)


def test_a_held_result_is_given_up_when_a_later_one_went_at_once() -> None:
    throttle = two_sent()
    throttle.offer(3, DOOR, b"", 10.5)
    assert throttle.offer(4, DESK, b"", 11.0)
    assert sent(throttle, 11.25) == []


def test_a_held_result_is_not_given_up_for_an_earlier_event() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.passed(2)
    throttle.offer(3, DESK, b"", 10.5)
    assert sent(throttle, 11.0) == [3]


def test_the_highest_number_that_went_out_counts_not_the_last() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(3, DESK, b"", 10.5)
    throttle.passed(4)
    throttle.passed(2)
    assert sent(throttle, 11.0) == []


def test_no_number_goes_out_twice() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(2, DESK, b"", 10.5)
    throttle.passed(2)
    assert sent(throttle, 11.0) == []


def test_what_was_given_up_does_not_count_as_sent() -> None:
    throttle = Throttle(1.0)
    throttle.offer(1, DESK, b"", 10.0)
    throttle.offer(2, DESK, b"", 10.5)
    throttle.passed(3)
    assert sent(throttle, 11.0) == []
    assert throttle.offer(4, DESK, b"", 11.1)


@given(st.lists(st.tuples(st.sampled_from([DESK, DOOR]), st.integers(0, 30), st.booleans()), max_size=60))
def test_numbers_rise_and_no_key_comes_too_often(steps: list[tuple[Key, int, bool]]) -> None:
    throttle = Throttle(1.0)
    out: list[int] = []
    when: dict[Key, list[float]] = {DESK: [], DOOR: []}
    now = 0.0
    for seq, (key, tenths, is_other) in enumerate(steps, start=1):
        now += tenths / 16
        for held in throttle.due(now):
            out.append(held.seq)
            when[held.key].append(now)
        if is_other:
            throttle.passed(seq)
            out.append(seq)
        elif throttle.offer(seq, key, b"", now):
            out.append(seq)
            when[key].append(now)
    assert out == sorted(set(out))
    for times in when.values():
        assert all(later - earlier >= 1.0 for earlier, later in pairwise(times))
