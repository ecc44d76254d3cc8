from __future__ import annotations

from earmark.sparing import Sparing


def test_a_burst_passes_and_then_one_in_so_many_seconds() -> None:
    sparing = Sparing(2, 10)
    assert [sparing.passes(now) for now in (0, 0, 0, 9.9, 10, 10)] == [True, True, False, False, True, False]


def test_what_was_left_out_is_told_once() -> None:
    sparing = Sparing(1, 10)
    assert [sparing.passes(0) for _ in range(4)] == [True, False, False, False]
    assert (sparing.told(), sparing.told()) == (3, 0)


def test_the_time_until_the_next_line_is_known() -> None:
    sparing = Sparing(1, 10)
    assert sparing.wait(0) == 0
    sparing.passes(0)
    assert (sparing.wait(0), sparing.wait(4), sparing.wait(99)) == (10, 6, 0)


def test_room_is_not_saved_beyond_the_burst() -> None:
    sparing = Sparing(2, 1)
    sparing.passes(0)
    assert [sparing.passes(1000) for _ in range(3)] == [True, True, False]
