"""A session's time in stretches: every second counts once, and none counts for a label while nobody listened."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark_client.sessions.stretches import Hole, Span, Stretch, cells, partition, shares, transitions

TIMES = st.integers(-5, 40).map(float)
LABELS = st.sampled_from(["happy", "sad", "angry"])


def _ordered(start: float, end: float | None) -> tuple[float, float | None]:
    return (start, end) if end is None or start <= end else (end, start)


SPANS = st.builds(lambda start, end, label: Span(*_ordered(start, end), label), TIMES, TIMES | st.none(), LABELS)
HOLES = st.builds(lambda start, end: Hole(*_ordered(start, end), "lost"), TIMES, TIMES | st.none())


def drawn(stretches: list[Stretch]) -> str:
    """A letter a second: the label's, `.` for none, `/` where nobody listened."""
    return "".join(
        ("/" if stretch.unheard else stretch.label[:1] or ".") * round(stretch.length) for stretch in stretches
    )


def test_a_label_counts_from_its_beginning_to_its_end() -> None:
    assert drawn(partition(0, 10, [Span(2, 5, "happy")], [])) == "..hhh....."


def test_a_label_that_is_on_counts_up_to_now() -> None:
    assert drawn(partition(0, 6, [Span(4, None, "happy")], [])) == "....hh"


def test_a_hole_stops_the_clock_of_a_label() -> None:
    assert drawn(partition(0, 10, [Span(2, 8, "happy")], [Hole(4, 6, "lost")])) == "..hh//hh.."


def test_of_several_labels_the_last_begun_counts() -> None:
    assert drawn(partition(0, 8, [Span(1, 7, "happy"), Span(3, 5, "sad")], [])) == ".hhsshh."


@given(st.lists(SPANS, max_size=8), st.lists(HOLES, max_size=4), st.integers(0, 30))
def test_stretches_cover_the_time_once_and_neighbours_differ(spans: list[Span], holes: list[Hole], end: int) -> None:
    stretches = partition(0.0, float(end), spans, holes)

    assert [stretch.start for stretch in stretches] == [0.0, *(stretch.end for stretch in stretches)][: len(stretches)]
    assert sum(stretch.length for stretch in stretches) == end
    for one, next_one in pairwise(stretches):
        assert (one.label, one.unheard) != (next_one.label, next_one.unheard)


@given(st.lists(SPANS, max_size=8), st.lists(HOLES, max_size=4))
def test_shares_add_up_to_the_time_that_was_listened_to(spans: list[Span], holes: list[Hole]) -> None:
    spent = shares(partition(0.0, 30.0, spans, holes))

    assert spent.listened + spent.unheard == pytest.approx(30)
    assert sum(spent.labels.values()) + spent.none == pytest.approx(spent.listened)
    if spent.listened:
        assert sum(spent.of(label) for label in spent.labels) == pytest.approx(1 - spent.none / spent.listened)


@given(st.lists(SPANS, max_size=8), st.lists(HOLES, max_size=4))
def test_more_holes_never_give_a_label_more_time(spans: list[Span], holes: list[Hole]) -> None:
    heard, less = shares(partition(0.0, 30.0, spans, [])), shares(partition(0.0, 30.0, spans, holes))

    assert all(less.labels.get(label, 0.0) <= time for label, time in heard.labels.items())


def test_one_label_follows_another_over_silence_but_not_over_a_hole() -> None:
    spans = [Span(0, 2, "happy"), Span(3, 4, "sad"), Span(6, 7, "happy"), Span(8, 9, "happy")]

    assert transitions(partition(0, 10, spans, [])) == Counter(
        {("happy", "sad"): 1, ("sad", "happy"): 1, ("happy", "happy"): 1}
    )
    assert transitions(partition(0, 10, spans, [Hole(4.5, 5, "lost")])) == Counter(
        {("happy", "sad"): 1, ("happy", "happy"): 1}
    )


def test_a_short_label_stays_visible_in_the_strip() -> None:
    stretches = partition(0, 40, [Span(12, 13, "happy")], [Hole(30, 40, "lost")])

    strip = cells(stretches, -20, 40, 6)

    assert ["-" if each is None else drawn([each])[:1] for each in strip] == ["-", "-", ".", "h", ".", "/"]
    assert cells(stretches, 0, 40, 0) == []
