from __future__ import annotations

from earmark.gateway.gone import Gone


def test_of_the_whole_stream_each_number_without_an_event_is_missing() -> None:
    gone = Gone(part=False)
    assert (gone.last(3, 7), gone.count(3, 7)) == (7, 5)


def test_of_a_part_only_what_the_stream_has_lost_or_a_node_has_told_is_missing() -> None:
    gone = Gone(part=True)
    assert gone.last(3, 7) == 0
    gone.oldest = 5
    assert [gone.last(1, 2), gone.last(3, 7), gone.last(5, 7)] == [2, 4, 0]
    assert gone.last(3, 7, by_limits=False) == 0
    gone.note(6, 1)
    assert gone.last(3, 7, by_limits=False) == 6
    assert [gone.last(3, 7), gone.last(6, 6), gone.last(7, 9)] == [6, 6, 0]


def test_a_number_may_stand_for_many_events() -> None:
    gone = Gone(part=True)
    for number, events in ((9, 40), (4, 1), (9, 40), (6, 3)):
        gone.note(number, events)
    assert [gone.count(1, 3), gone.count(4, 4), gone.count(5, 9), gone.count(10, 12)] == [3, 1, 5 + 2 + 39, 3]


def test_the_lowest_numbers_are_forgotten_first() -> None:
    gone = Gone(part=True, remembered=2)
    for number in (5, 9, 7):
        gone.note(number, 10)
    assert [gone.last(1, 5), gone.last(1, 8), gone.count(5, 5), gone.count(7, 7)] == [0, 7, 1, 10]
