"""Who comes to the hub and leaves it, is replayed, or stalls, and what is counted."""

from __future__ import annotations

import logging

import pytest

from earmark.broadcast.hub import TOO_SLOW, HubStats
from earmark.broadcast.subscription import Subscription, parse
from tests.hubs import Peer, Serving


def test_a_subscriber_is_greeted_and_gets_what_comes_from_then_on() -> None:
    serving = Serving()
    serving.label()
    peer = Peer(serving.hub, {})
    (hello,) = peer.transport.messages()
    assert (hello["type"], hello["epoch"], hello["seq"]) == ("hello", "9f2c", 1)
    serving.label()
    serving.result()
    assert peer.got() == [2, 3]
    assert serving.hub.stats() == HubStats(1, 3, 2, {"oldest": 0, "latest": 0, "close": 0}, 0, 0, {}, 0, 0)


def test_who_left_gets_nothing_more_and_may_leave_twice() -> None:
    serving = Serving()
    peer, stays = serving.peer(), serving.peer()
    serving.hub.leave(peer.subscriber)
    serving.hub.leave(peer.subscriber)
    serving.label()
    assert (peer.got(), stays.got()) == ([], [1])
    assert serving.hub.stats().subscribers == 1


def test_a_changed_filter_is_confirmed_with_the_newest_number_and_holds_from_then_on() -> None:
    serving = Serving()
    peer = serving.peer(labels="stop")
    serving.label("go")
    serving.hub.change(peer.subscriber, Subscription(labels=frozenset({"go"})))
    assert peer.transport.messages() == [{"type": "subscribed", "seq": 1}]
    serving.label("stop")
    serving.label("go")
    assert peer.got() == [3]


def test_who_reads_nothing_for_the_time_of_a_stall_is_aborted(caplog: pytest.LogCaptureFixture) -> None:
    serving = Serving(stall=30.0)
    slow, other = serving.peer(), serving.peer()
    slow.pause()
    serving.clock.advance(29.0)
    assert not slow.transport.aborted
    with caplog.at_level(logging.WARNING):
        serving.clock.advance(4.0)
    assert slow.transport.aborted
    assert [record.getMessage() for record in caplog.records] == ["subscriber peer aborted: it read nothing for 30 s"]
    serving.label()
    assert other.got() == [1]
    assert (serving.hub.stats().aborted, serving.hub.stats().subscribers) == (1, 1)


def test_who_reads_slowly_stays_and_no_timer_is_left_once_nobody_is_behind() -> None:
    serving = Serving(stall=30.0)
    slow = serving.peer()
    slow.transport.buffered = 1000
    slow.pause()
    for _ in range(10):
        slow.transport.buffered -= 10
        serving.clock.advance(20.0)
    slow.resume()
    serving.clock.advance(100.0)
    assert not slow.transport.aborted
    assert serving.clock.pending() == 0


def test_a_transport_that_is_full_after_its_subscriber_left_is_not_watched() -> None:
    serving = Serving(stall=30.0)
    peer = serving.peer()
    serving.hub.leave(peer.subscriber)
    peer.pause()
    peer.resume()
    assert serving.clock.pending() == 0
    serving.clock.advance(100.0)
    assert (peer.transport.aborted, serving.hub.stats().aborted) == (False, 0)


def test_a_subscriber_that_is_held_hears_nothing_until_it_goes_live() -> None:
    serving = Serving()
    peer = serving.peer()
    serving.label()
    serving.hub.hold(peer.subscriber)
    serving.label()
    stats = serving.hub.stats()
    assert (peer.got(), stats.subscribers, stats.replaying) == ([1], 1, 1)
    serving.hub.go_live(peer.subscriber)
    serving.label()
    assert (peer.got(), serving.hub.stats().replaying) == ([3], 0)


def test_the_filter_of_a_subscriber_that_is_held_changes_and_it_stays_so() -> None:
    serving = Serving()
    peer = serving.peer()
    serving.hub.hold(peer.subscriber)
    serving.hub.change(peer.subscriber, parse({"types": "label"}))
    serving.label()
    assert (peer.got(), serving.hub.is_held(peer.subscriber)) == (["subscribed"], True)
    serving.hub.go_live(peer.subscriber)
    serving.result()
    assert peer.got() == []
    serving.label()
    assert peer.got() == [3]


def test_a_subscriber_that_is_held_and_reads_nothing_is_aborted() -> None:
    serving = Serving(stall=30.0)
    peer = serving.peer()
    serving.hub.hold(peer.subscriber)
    peer.transport.buffered = 1000
    peer.pause()
    serving.clock.advance(29.0)
    assert not peer.transport.aborted
    serving.clock.advance(4.0)
    assert (peer.transport.aborted, serving.hub.is_held(peer.subscriber), serving.hub.stats().aborted) == (
        True,
        False,
        1,
    )


def test_a_subscriber_that_is_held_and_reads_on_is_watched_no_more() -> None:
    serving = Serving(stall=30.0)
    peer = serving.peer()
    serving.hub.hold(peer.subscriber)
    peer.transport.buffered = 1000
    peer.pause()
    peer.resume()
    serving.clock.advance(100.0)
    assert (peer.transport.aborted, peer.subscriber.paused, serving.clock.pending()) == (False, False, 0)


def test_a_subscriber_that_leaves_while_it_is_held_is_forgotten() -> None:
    serving = Serving()
    peer = serving.peer()
    serving.hub.hold(peer.subscriber)
    serving.hub.leave(peer.subscriber)
    assert (serving.hub.is_held(peer.subscriber), serving.hub.stats().subscribers) == (False, 0)


def test_events_that_were_replayed_are_counted() -> None:
    serving = Serving()
    serving.hub.count_replayed(3)
    serving.hub.count_replayed(0)
    assert serving.hub.stats().replayed == 3


def test_handshakes_that_were_refused_are_counted_by_status() -> None:
    serving = Serving()
    serving.hub.count_refused(403)
    serving.hub.count_refused(403)
    serving.hub.count_refused(503)
    stats = serving.hub.stats()
    assert (stats.refused, stats.refusals) == (3, {403: 2, 503: 1})


def test_the_subscribers_that_are_behind_are_counted_and_the_events_that_wait_for_them() -> None:
    serving = Serving()
    first, second, _ = serving.peer(), serving.peer(), serving.peer()
    for peer in (first, second):
        peer.pause()
        serving.label()
    stats = serving.hub.stats()
    assert (stats.subscribers, stats.behind, stats.backlog) == (3, 2, 3)


def test_a_hub_without_subscribers_publishes_to_nobody() -> None:
    serving = Serving()
    serving.label()
    assert (serving.hub.stats().published, serving.hub.stats().delivered) == (1, 0)


def test_the_hub_says_when_the_first_asks_for_levels_and_when_the_last_has_left() -> None:
    said: list[bool] = []
    serving = Serving(on_metered=said.append)
    serving.peer()
    first, second = serving.peer(types="level"), serving.peer(types="level,label")
    assert said == [True]
    serving.hub.leave(first.subscriber)
    serving.hub.leave(first.subscriber)
    serving.hub.change(second.subscriber, parse({"types": "level", "sources": "desk"}))
    assert said[-1]
    serving.hub.change(second.subscriber, parse({}))
    assert not said[-1]
    serving.hub.leave(second.subscriber)
    assert said.count(True) == said.count(False)


def test_who_comes_in_the_middle_of_a_turn_gets_only_what_is_published_after() -> None:
    serving = Serving()
    early = serving.peer()
    serving.in_one_turn = True
    serving.label()
    late = serving.peer()
    serving.label()
    serving.clock.turn()
    assert (early.got(), late.got()) == ([1, 2], [2])


def test_who_leaves_or_is_held_in_the_middle_of_a_turn_has_got_what_was_published_before() -> None:
    serving = Serving()
    leaves, held = serving.peer(), serving.peer()
    serving.in_one_turn = True
    serving.label()
    serving.hub.leave(leaves.subscriber)
    serving.hub.hold(held.subscriber)
    serving.label()
    serving.clock.turn()
    assert (leaves.got(), held.got()) == ([1], [1])


def test_a_filter_that_changes_in_the_middle_of_a_turn_is_confirmed_after_what_the_old_one_chose() -> None:
    serving = Serving()
    peer = serving.peer(labels="stop")
    serving.in_one_turn = True
    serving.label("stop")
    serving.hub.change(peer.subscriber, parse({"labels": "go"}))
    serving.label("stop")
    serving.label("go")
    serving.clock.turn()
    assert peer.got() == [1, "subscribed", 3]


def test_a_subscriber_that_falls_behind_by_the_events_before_its_new_filter_has_the_backlog_of_the_new_one() -> None:
    serving = Serving(backlog=1)
    peer = serving.peer()
    serving.in_one_turn = True
    serving.label()
    peer.transport.on_write = peer.pause
    serving.hub.change(peer.subscriber, parse({"policy": "close"}))
    for _ in range(2):
        serving.label()
    serving.clock.turn()
    assert peer.closed == [(TOO_SLOW, "too slow")]
