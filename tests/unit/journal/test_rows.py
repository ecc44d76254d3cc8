from __future__ import annotations

import pytest

from earmark.broadcast.sink import Published
from earmark.broadcast.subscription import Subscription
from earmark.journal import rows
from earmark.journal.rows import Kind, chosen, milliseconds, row
from tests.journalled import label, loss, result, source, when

EVENTS = [
    result(1, "happy", 0.9),
    result(2, "sad", 0.3, suppressed="refractory"),
    label(3, "happy", "on", 0.7),
    label(4, "happy", "off", 0.7),
    source(5, "hall"),
    loss(6),
]


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event.event).__name__)
def test_an_event_comes_back_out_of_its_row_as_it_was(event: Published) -> None:
    found = row(event.text, event.on_score)
    assert found is not None
    assert rows.published(found.text, found.score) == event


def test_a_row_has_what_filters_choose_by() -> None:
    assert [found and (found.kind, found.score) for found in (row(each.text, each.on_score) for each in EVENTS)] == [
        (Kind("result", "desk", "emotion", "happy"), 0.9),
        (Kind("suppressed", "desk", "emotion", "sad"), 0.3),
        (Kind("label", "desk", "emotion", "happy"), 0.7),
        (Kind("label", "desk", "emotion", "happy"), 0.7),
        (Kind("source", "hall", "", ""), None),
        (Kind("loss", "desk", "", ""), None),
    ]


def test_a_row_has_the_time_of_its_event_in_ms() -> None:
    found = row(result(1, at=1.234).text, None)
    assert found is not None
    assert found.time == milliseconds(when(1.234)) == milliseconds(when(0)) + 1234


@pytest.mark.parametrize(
    "text", [b'{"type":"novelty","seq":3}', b'{"type":"tick"}', b'{"type":"error","error":"x"}', b"\xff"]
)
def test_what_is_no_event_of_this_version_has_no_row(text: bytes) -> None:
    assert row(text, None) is None
    assert rows.published(text, None) is None


@pytest.mark.parametrize(
    "filter",
    [
        Subscription(),
        Subscription(sources=frozenset({"desk"})),
        Subscription(classifiers=frozenset({"emotion"})),
        Subscription(labels=frozenset({"sad"}), types=frozenset({"suppressed", "label"})),
        Subscription(types=frozenset({"label"}), min_score=0.75),
        Subscription(shape="api"),
    ],
)
def test_no_kind_is_left_out_that_the_filter_may_choose(filter: Subscription) -> None:
    kinds = {each: found.kind for each in EVENTS if (found := row(each.text, each.on_score))}
    may = chosen(filter, kinds.values())
    assert [each for each in EVENTS if filter.matches(each) and kinds[each] not in may] == []


def test_kinds_are_left_out_by_each_word_of_the_filter() -> None:
    kinds = [
        Kind("result", "desk", "emotion", "happy"),
        Kind("label", "desk", "emotion", "happy"),
        Kind("result", "hall", "emotion", "happy"),
        Kind("result", "desk", "words", "happy"),
        Kind("result", "desk", "emotion", "sad"),
        Kind("source", "desk", "", ""),
    ]
    filter = Subscription(
        types=frozenset({"result", "source"}),
        sources=frozenset({"desk"}),
        classifiers=frozenset({"emotion"}),
        labels=frozenset({"happy"}),
    )
    assert chosen(filter, kinds) == {kinds[0], kinds[5]}
