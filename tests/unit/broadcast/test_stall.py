from __future__ import annotations

from earmark.broadcast.stall import StallWatch
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import Subscription
from tests.transports import HandTransport


def subscriber(buffered: int = 100) -> tuple[Subscriber, HandTransport]:
    transport = HandTransport(buffered=buffered)
    return Subscriber(transport, Subscription(), lambda code, reason: None), transport


def test_a_subscriber_whose_transport_does_not_empty_has_stalled_after_the_time_exactly() -> None:
    watch, (slow, _) = StallWatch(30), subscriber()
    watch.note(slow, now=5)
    assert watch.stalled(34.9) == []
    assert watch.stalled(35.0) == [slow]


def test_a_subscriber_from_whose_transport_bytes_leave_is_slow_and_has_not_stalled() -> None:
    watch, (slow, transport) = StallWatch(30), subscriber(buffered=100)
    watch.note(slow, now=0)
    transport.buffered = 99
    assert watch.stalled(29) == []
    assert watch.stalled(58.9) == []
    assert watch.stalled(59) == [slow]


def test_bytes_that_are_added_are_no_progress_and_their_leaving_is() -> None:
    watch, (slow, transport) = StallWatch(30), subscriber(buffered=100)
    watch.note(slow, now=0)
    transport.buffered = 150
    assert watch.stalled(20) == []
    assert watch.stalled(30) == [slow]
    transport.buffered = 120  # still more than at first
    assert watch.stalled(31) == []
    assert watch.stalled(61) == [slow]


def test_noting_a_subscriber_again_is_progress() -> None:
    watch, (slow, _) = StallWatch(30), subscriber()
    watch.note(slow, now=0)
    watch.note(slow, now=20)
    assert watch.stalled(49) == []
    assert watch.stalled(50) == [slow]


def test_only_subscribers_that_are_watched_can_stall() -> None:
    watch, (first, _), (second, _) = StallWatch(30), subscriber(), subscriber()
    watch.note(first, now=0)
    watch.note(second, now=10)
    assert len(watch) == 2
    watch.forget(first)
    watch.forget(first)
    assert len(watch) == 1
    assert watch.stalled(40) == [second]
