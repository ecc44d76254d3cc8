from __future__ import annotations

import pytest

from earmark.broadcast.subscription import Subscription
from earmark.errors import SubscriptionError
from earmark.history.position import Position
from earmark.stream.subscribe_request import SubscribeRequest, parse_message, parse_query


def test_a_position_stands_beside_the_filter_and_not_in_it() -> None:
    request = parse_query([("sources", "desk"), ("since", "9f2c:17"), ("sources", "hall")])
    assert request == SubscribeRequest(Subscription(sources=frozenset({"desk", "hall"})), Position("9f2c", 17))


def test_without_a_position_events_come_from_now_on() -> None:
    assert parse_query({"top_k": "1"}) == SubscribeRequest(Subscription(top_k=1), None)


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ([("since", "9f2c:1"), ("since", "9f2c:2")], "since: given 2 times, and one value is wanted"),
        ([("since", "soon")], "since: 'soon' is not a position"),
        (
            [("sinse", "9f2c:1")],
            "sinse: no such parameter; did you mean since? known are sources, classifiers, types, labels, min_score, "
            "top_k, every, shape, policy, since",
        ),
    ],
)
def test_a_wrong_parameter_is_named(query: list[tuple[str, str]], sentence: str) -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse_query(query)
    assert str(caught.value).startswith(sentence)


def test_a_message_says_the_same_in_json() -> None:
    message = '{"type":"subscribe","sources":["desk"],"since":"9f2c:17"}'
    assert parse_message(message) == SubscribeRequest(Subscription(sources=frozenset({"desk"})), Position("9f2c", 17))


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (b"{}", "messages are JSON text, and this one is binary"),
        ("{", "not JSON: "),
        ("[" * 100_000, "not JSON: "),
        ("[]", 'the only message known here is {"type":"subscribe", …}'),
        ('{"type":"hello"}', 'the only message known here is {"type":"subscribe", …}'),
        ('{"type":"subscribe","since":17}', "since: 17 is not a position"),
    ],
)
def test_what_is_no_subscription_is_refused(message: str | bytes, sentence: str) -> None:
    with pytest.raises(SubscriptionError) as caught:
        parse_message(message)
    assert str(caught.value).startswith(sentence)
