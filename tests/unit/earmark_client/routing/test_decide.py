from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.protocol.events import Label
from earmark_client.routing.decide import Decider, Held, Memory, Taken
from earmark_client.routing.settings import Filter, Route
from tests.routes import at, off, on, route, text, word


def decided(routes: Route | list[Route], *events: Label, decider: Decider | None = None) -> str:
    """What becomes of the events: `!` if the route takes one, the reason if not, `-` if it is not concerned."""
    decider = decider or Decider(routes if isinstance(routes, list) else [routes], zone=UTC)
    told = []
    for event in events:
        found = decider.decide(event, at(event_seconds(event)))
        told.append("-" if not found else "!" if isinstance(found[0], Taken) else found[0].why)
    return " ".join(told)


def event_seconds(event: Label) -> float:
    return (datetime.fromisoformat(event.time) - at(0)).total_seconds()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, "!"),
        ({"label": "go"}, "!"),
        ({"label": ("stop", "go")}, "!"),
        ({"label": "stop"}, "-"),
        ({"source": "desk", "classifier": "commands"}, "!"),
        ({"source": "hall"}, "-"),
        ({"classifier": "emotion"}, "-"),
        ({"only": Filter(source=("hall", "desk"))}, "!"),
        ({"only": Filter(source="hall")}, "-"),
        ({"except_": Filter(label="go")}, "-"),
        ({"except_": Filter(source="hall", label="stop")}, "!"),
        ({"except_": Filter(source="hall", label="go")}, "-"),  # one of them is enough
        ({"on": "off"}, "-"),
        ({"on": "both"}, "!"),
    ],
)
def test_a_route_takes_the_labels_sources_and_classifiers_that_it_names(settings: dict[str, Any], told: str) -> None:
    assert decided(route(**settings), word("go", 1)) == told


def test_on_off_and_both_choose_the_beginnings_and_ends_of_labels_that_last() -> None:
    events = on("dog", 1), off("dog", 1, 5)
    assert decided(route(on="on"), *events) == "! -"
    assert decided(route(on="off"), *events) == "- !"
    assert decided(route(on="both"), *events) == "! !"


def test_the_least_score_is_enough_and_an_off_is_judged_by_its_peak() -> None:
    assert decided(route(min_score=0.9), word("go", 1)) == "!"
    assert decided(route(min_score=0.91), word("go", 1)) == "score"
    assert decided(route(min_score=0.9, on="off"), off("dog", 1, 2)) == "!"
    assert decided(route(min_score=0.1), word("go", 1, score=None)) == "score"


@pytest.mark.parametrize(
    ("between", "told"),
    [
        ("12:00-12:01", "!"),
        ("11:00-12:00", "between"),  # the end does not belong to it
        ("22:00-07:00", "between"),
        ("11:00-10:00", "!"),  # over midnight
        ("tue-sun 00:00-24:00", "between"),
        (("mon 12:00-13:00", "sat 08:00-09:00"), "!"),
    ],
)
def test_between_are_local_times_of_the_week(between: str | tuple[str, ...], told: str) -> None:
    assert decided(route(between=between), word("go", 0)) == told


def test_between_is_by_the_clock_on_the_wall() -> None:
    decider = Decider([route(between="14:00-14:01")], zone=timezone(timedelta(hours=2)))
    assert decided([], word("go", 0), decider=decider) == "!"


@pytest.mark.parametrize(
    ("end", "told"),
    [
        (2.5, "- !"),  # the word begins half a second before its end, at once after the wake word
        (5.5, "- !"),  # 3 s after
        (5.6, "- after"),
        (1.9, "- after"),  # begins before the wake word does
    ],
)
def test_a_command_after_a_wake_word_is_taken_for_so_many_seconds_of_the_sound(end: float, told: str) -> None:
    assert decided(route(label="go", after="marvin", within=3), word("marvin", 2), word("go", end)) == told


def test_a_wake_word_counts_for_its_own_source_alone() -> None:
    woken = route(label="go", after="marvin")
    assert decided(woken, word("marvin", 2, source="hall"), word("go", 3)) == "- after"
    assert decided(woken, word("marvin", 2, classifier="wake"), word("go", 3)) == "- !"


def test_one_of_several_wake_words_is_enough_and_each_command_within_the_time_is_taken() -> None:
    woken = route(label=("go", "stop"), after=("marvin", "sheila"), within=3)
    assert decided(woken, word("sheila", 2), word("go", 3), word("stop", 4), word("go", 6)) == "- ! ! after"


def test_a_label_that_lasts_wakes_while_it_is_on_and_for_the_time_after_it() -> None:
    woken = route(label="go", after="speech", within=3)
    events = on("speech", 1), word("go", 30), off("speech", 1, 40), word("go", 43), word("go", 44)
    assert decided(woken, *events) == "- ! - ! after"


def test_a_wake_word_of_before_the_daemon_was_started_again_does_not_count() -> None:
    woken = route(label="go", after="marvin", within=3)
    stale = word("go", 600, start=2.5, end=3.0)  # ten minutes later, and the stream has begun anew
    assert decided(woken, word("marvin", 2), stale) == "- after"


def test_sound_that_is_played_faster_than_it_was_recorded_is_judged_by_its_own_time() -> None:
    woken = route(label="go", after="marvin", within=3)
    fast = word("go", 10, time=text(at(2.1)), start_time=text(at(2.1)), end_time=text(at(2.1)))
    assert decided(woken, word("marvin", 2), fast) == "- after"


def test_a_route_rests_for_its_refractory_time_after_an_action_and_not_after_a_suppressed_one() -> None:
    resting = route(refractory=2)
    events = [word("go", seconds) for seconds in (1, 2, 2.9, 3, 4, 5)]
    assert decided(resting, *events) == "! refractory refractory ! refractory !"


def test_the_first_of_the_day_is_the_first_of_each_local_day() -> None:
    events = [word("go", seconds) for seconds in (0, 60, 12 * 3600 - 1, 12 * 3600, 12 * 3600 + 1)]
    assert decided(route(first_of_day=True), *events) == "! first_of_day first_of_day ! first_of_day"


@pytest.mark.parametrize(("age", "late"), [(10, False), (10.1, True), (-5, False)])
def test_what_is_older_than_max_age_is_too_late(age: float, late: bool) -> None:
    (found,) = Decider([route(max_age=10)]).decide(word("go", 1), at(1 + age))
    assert isinstance(found, Held) == late
    if isinstance(found, Held):
        assert (found.why, found.detail) == ("late", "10.1 s old, max_age is 10 s")


def test_what_was_too_late_is_not_the_first_of_the_day() -> None:
    decider = Decider([route(first_of_day=True)], zone=UTC)
    decider.decide(word("go", 1), at(1000))
    assert decided([], word("go", 1001), decider=decider) == "!"


def test_each_route_is_decided_by_itself_and_in_the_order_of_the_file() -> None:
    routes = [route(name="a", refractory=10), route(name="b"), route(name="c", label="stop")]
    decider = Decider(routes)
    decider.decide(word("go", 1), at(1))
    found = decider.decide(word("go", 2), at(2))
    assert [(each.route.name, type(each)) for each in found] == [("a", Held), ("b", Taken)]


def test_what_a_decider_remembers_goes_on_in_another_one() -> None:
    routes = [route(label="go", after="marvin", within=3, refractory=5)]
    first = Decider(routes)
    decided([], word("marvin", 1), word("go", 2), decider=first)
    kept = msgspec.json.decode(msgspec.json.encode(first.memory), type=Memory)
    assert decided([], word("go", 3), word("marvin", 7), word("go", 8), decider=Decider(routes, kept)) == (
        "refractory - !"
    )


def test_labels_that_no_route_waits_for_are_not_remembered() -> None:
    decider = Decider([route(label="go", after="marvin")])
    for seconds in range(5):
        decider.decide(word(f"w{seconds}", seconds), at(seconds))
    assert decider.memory.heard == {}


moments = st.lists(st.integers(0, 600), min_size=1, max_size=60).map(sorted)


@given(moments, st.integers(1, 100))
def test_two_actions_of_a_route_are_never_nearer_than_its_refractory_time(tenths: list[int], refractory: int) -> None:
    decider, taken = Decider([route(refractory=refractory / 10)]), []
    for tenth in tenths:
        (found,) = decider.decide(word("go", tenth / 10), at(tenth / 10))
        if isinstance(found, Taken):
            taken.append(tenth)
    assert taken[0] == tenths[0]
    assert all(later - earlier >= refractory for earlier, later in pairwise(taken))
    assert all(any(0 <= tenth - each < refractory for each in taken) for tenth in tenths if tenth not in taken)


@given(st.lists(st.tuples(st.sampled_from(["marvin", "go"]), st.integers(1, 50)), max_size=30), st.integers(1, 50))
def test_a_command_is_taken_if_and_only_if_a_wake_word_ended_just_before(
    words: list[tuple[str, int]], within: int
) -> None:
    decider, now, wakes = Decider([route(label="go", after="marvin", within=within / 10)]), 0, []
    for label, pause in words:
        begin, now = now + pause, now + pause + 5
        found = decider.decide(word(label, now / 10, start=begin / 10, end=now / 10), at(now / 10))
        if label == "marvin":
            wakes.append(now)
        else:
            assert isinstance(found[0], Taken) == any(begin - wake <= within for wake in wakes)


@given(moments)
def test_a_stream_that_is_decided_twice_is_decided_alike(tenths: list[int]) -> None:
    routes = [route(refractory=1.5), route(name="d", first_of_day=True)]
    runs = [
        [[type(each) for each in decider.decide(word("go", tenth / 10), at(tenth / 10))] for tenth in tenths]
        for decider in (Decider(routes), Decider(routes))
    ]
    assert runs[0] == runs[1]
