from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from earmark.core.thinning import Key, Thinner

DESK: Key = ("desk", "emotion")
DOOR: Key = ("door", "emotion")


def sent(thinner: Thinner, now: float) -> list[int]:
    return [held.seq for held in thinner.due(now)]


def test_the_first_goes_at_once_and_the_newest_when_the_time_has_come() -> None:
    thinner = Thinner(1.0)
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
    thinner = Thinner(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.offer(2, DESK, b"", 11.0)


def test_sources_are_thinned_apart() -> None:
    thinner = Thinner(1.0)
    assert thinner.offer(1, DESK, b"", 10.0)
    assert thinner.offer(2, DOOR, b"", 10.1)


def test_a_held_result_is_given_up_when_a_later_event_went_out() -> None:
    thinner = Thinner(1.0)
    thinner.offer(1, DESK, b"", 10.0)
    thinner.offer(2, DESK, b"", 10.5)
    thinner.passed(3)
    assert sent(thinner, 11.0) == []
    assert thinner.next_due() is None


@given(st.lists(st.tuples(st.sampled_from([DESK, DOOR]), st.integers(0, 30), st.booleans()), max_size=60))
def test_numbers_rise_and_no_key_comes_too_often(steps: list[tuple[Key, int, bool]]) -> None:
    thinner = Thinner(1.0)
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
