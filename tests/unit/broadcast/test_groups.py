from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.groups import MOST_INDEXED, Groups
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import parse
from tests.transports import HandTransport

SOURCES = ("desk", "hall", "yard")


def subscriber(**query: object) -> Subscriber:
    return Subscriber(HandTransport(), parse(query), lambda code, reason: None)


def test_an_event_is_held_against_the_filters_of_its_source_and_those_that_name_none() -> None:
    groups = Groups()
    for query in ({}, {"labels": "stop"}, {"sources": "desk"}, {"sources": "hall,yard"}):
        groups.add(subscriber(**query))
    assert [sorted(group.subscription.sources) for group in groups.concerned(["desk"])] == [[], [], ["desk"]]
    assert [sorted(group.subscription.sources) for group in groups.concerned(["attic"])] == [[], []]
    assert len(groups.concerned(["hall", "yard"])) == 3
    assert len(groups.concerned(None)) == len(groups) == 4


def test_equal_filters_are_one_group_which_goes_with_its_last_member() -> None:
    groups = Groups()
    one, two = subscriber(sources="desk"), subscriber(sources="desk")
    groups.add(one)
    groups.add(two)
    (group,) = groups.concerned(["desk"])
    assert (list(group.ready), groups.of(two)) == ([one, two], group)
    groups.remove(one)
    assert (groups.of(one), len(groups.concerned(["desk"]))) == (None, 1)
    groups.remove(two)
    groups.remove(two)
    assert (len(groups), groups.concerned(["desk"])) == (0, [])


def test_a_filter_of_very_many_sources_is_found_for_each_and_takes_no_place_in_the_index() -> None:
    groups = Groups()
    few, many = ([f"room {number}" for number in range(count)] for count in (MOST_INDEXED, MOST_INDEXED + 1))
    indexed, other = subscriber(sources=few), subscriber(sources=many)
    groups.add(indexed)
    groups.add(other)
    assert [len(group.subscription.sources) for group in groups.concerned(["room 0"])] == [len(many), len(few)]
    assert [len(group.subscription.sources) for group in groups.concerned(["attic"])] == [len(many)]
    groups.remove(other)
    assert [list(group.ready) for group in groups.concerned(["room 0"])] == [[indexed]]
    groups.remove(indexed)
    assert (len(groups), groups.concerned(["room 0", "attic"])) == (0, [])


def test_who_falls_behind_stays_in_the_group_and_keeps_up_again() -> None:
    groups = Groups()
    slow, fast = subscriber(), subscriber()
    groups.add(slow)
    groups.add(fast)
    (group,) = groups
    group.falls_behind(slow)
    assert (list(group.ready), list(group.behind), groups.of(slow)) == ([fast], [slow], group)
    group.keeps_up(slow)
    assert (list(group.ready), list(group.behind)) == ([fast, slow], [])
    group.falls_behind(slow)
    groups.remove(slow)
    assert len(group) == 1


@given(
    st.lists(st.tuples(st.booleans(), st.frozensets(st.sampled_from(SOURCES))), max_size=12),
    st.sets(st.sampled_from(SOURCES)),
)
def test_the_index_finds_just_the_filters_that_name_none_or_one_of_the_sources(
    changes: list[tuple[bool, frozenset[str]]], sources: set[str]
) -> None:
    groups = Groups()
    members = [subscriber(sources=list(names)) for _, names in changes]
    for member in members:
        groups.add(member)
    for (leaves, _), member in zip(changes, members, strict=True):
        if leaves:
            groups.remove(member)
    left = {member.subscription for (leaves, _), member in zip(changes, members, strict=True) if not leaves}
    found = [group.subscription for group in groups.concerned(sources)]
    assert set(found) == {each for each in left if not each.sources or each.sources & sources}
    assert len(found) == len(set(found))
