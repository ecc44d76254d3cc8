from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.delivery import MAX_GATHERED_BYTES
from earmark.broadcast.hub import TOO_SLOW, Hub, HubStats
from earmark.broadcast.sink import Published
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import Subscription, parse
from earmark.protocol.events import Error, Gap, Hello, Label, Level, Numbered, Passing, Result, Score, Tick, encode
from tests.transports import HandClock, HandTransport

TIME = "2026-11-22T07:31:05.120Z"


@dataclass
class Peer:
    """A subscriber of `hub`, and what reached it."""

    hub: Hub
    query: dict[str, object]
    transport: HandTransport = field(default_factory=HandTransport)
    closed: list[tuple[int, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.subscriber = Subscriber(self.transport, parse(self.query), self.close, "peer")
        self.hub.join(self.subscriber)

    def close(self, code: int, reason: str) -> None:
        self.closed.append((code, reason))

    def got(self) -> list[object]:
        """Return what has come since the last call: numbers of events, spans of gaps, and other types by name."""
        return [told(message) for message in self.transport.messages()]

    def pause(self) -> None:
        self.hub.pause(self.subscriber)

    def resume(self) -> None:
        self.hub.resume(self.subscriber)


def told(message: dict[str, object]) -> object:
    if message["type"] in ("result", "label"):
        return message["seq"]
    return (message["from"], message["to"]) if message["type"] == "gap" else message["type"]


class Serving:
    """A hub on a clock that stands still, and the numbers of its events."""

    def __init__(
        self, backlog: int = 3, stall: float = 30.0, on_metered: Callable[[bool], None] = lambda metered: None
    ) -> None:
        self.clock = HandClock()
        self.hub = Hub(
            backlog,
            lambda: Hello("0.1.0", "9f2c", self.seq, self.seq + 1, (), ()),
            stall,
            self.clock,
            on_metered=on_metered,
        )
        self.seq = 0
        self.in_one_turn = False  # whether all that is published belongs to one turn of the event loop

    def peer(self, **query: object) -> Peer:
        """Join a subscriber, and read its hello."""
        peer = Peer(self.hub, query)
        assert peer.got() == ([] if query.get("shape") == "api" else ["hello"])
        return peer

    def label(self, label: str = "stop") -> int:
        return self._publish(Label(self.seq + 1, TIME, "desk", "words", "e-1", label, "on", 1.0, score=0.9, end=1.6))

    def result(self, source: str = "desk", classifier: str = "words") -> int:
        scores = (Score(0.9, "stop"), Score(0.1, "go"))
        return self._publish(Result(self.seq + 1, TIME, source, classifier, 1.0, 2.0, result=scores))

    def _publish(self, event: Numbered) -> int:
        self.seq = event.seq
        self.hub.publish(Published(event, encode(event)))
        if not self.in_one_turn:
            self.clock.turn()
        return self.seq

    def broadcast(self, event: Passing) -> None:
        self.hub.broadcast(event)
        if not self.in_one_turn:
            self.clock.turn()


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


def test_subscribers_with_equal_filters_are_sent_the_same_bytes() -> None:
    serving = Serving()
    first, second, other = serving.peer(top_k=1), serving.peer(top_k=1), serving.peer(top_k=2)
    serving.result()
    assert first.transport.frames[0] is second.transport.frames[0]
    assert first.transport.frames != other.transport.frames


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


def test_a_full_transport_makes_events_wait_and_loses_nothing_within_the_backlog() -> None:
    serving = Serving(backlog=3)
    slow, quick = serving.peer(), serving.peer()
    slow.pause()
    for _ in range(3):
        serving.label()
    assert (slow.got(), quick.got()) == ([], [1, 2, 3])
    slow.resume()
    serving.label()
    assert (slow.got(), quick.got()) == ([1, 2, 3, 4], [4])
    assert serving.hub.stats().delivered == 8


def test_a_slow_subscriber_loses_its_oldest_events_and_is_told() -> None:
    serving = Serving(backlog=3)
    slow = serving.peer()
    slow.pause()
    for _ in range(5):
        serving.label()
    slow.resume()
    assert slow.got() == [(1, 2), 3, 4, 5]
    assert serving.hub.stats().dropped == {"oldest": 2, "latest": 0, "close": 0}


def test_a_transport_that_is_full_again_keeps_the_rest_for_later() -> None:
    serving = Serving(backlog=3)
    slow = serving.peer()
    slow.pause()
    for _ in range(3):
        serving.label()

    def write_one(data: bytes) -> None:
        slow.transport.write(data)
        slow.pause()

    slow.subscriber.write = write_one
    slow.resume()
    assert slow.got() == [1]
    slow.resume()
    assert slow.got() == [2]


def test_a_slow_subscriber_with_policy_latest_keeps_the_newest_result_of_each_source() -> None:
    serving = Serving()
    slow = serving.peer(policy="latest")
    slow.pause()
    for source in ("desk", "door", "desk"):
        serving.result(source)
    serving.label()
    slow.resume()
    assert slow.got() == [2, 3, 4]
    assert serving.hub.stats().dropped["latest"] == 1


def test_a_slow_subscriber_with_policy_close_is_closed_and_gets_nothing_more() -> None:
    serving = Serving(backlog=1)
    slow = serving.peer(policy="close")
    slow.pause()
    serving.label()
    assert slow.closed == []
    serving.label()
    assert slow.closed == [(TOO_SLOW, "too slow")]
    serving.label()
    assert (slow.got(), serving.hub.stats().subscribers, serving.hub.stats().dropped["close"]) == ([], 0, 1)


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


def test_every_lets_the_first_result_through_and_then_the_newest_when_its_time_has_come() -> None:
    serving = Serving()
    peer = serving.peer(types="result", every=1)
    for _ in range(3):
        serving.result()
        serving.clock.advance(0.2)
    serving.result("door")
    assert peer.got() == [1, 4]
    serving.result()
    serving.clock.advance(0.39)
    assert peer.got() == []
    serving.clock.advance(0.02)
    assert peer.got() == [5]


def test_every_source_and_classifier_has_a_time_of_its_own() -> None:
    serving = Serving()
    peer = serving.peer(types="result", every=1)
    serving.result()  # 1
    serving.clock.advance(0.5)
    serving.result("door")  # 2
    serving.result()  # 3, held until 1.0
    serving.result("door")  # 4, held until 1.5
    assert peer.got() == [1, 2]
    serving.clock.advance(0.5)
    assert peer.got() == [3]
    serving.clock.advance(0.5)
    assert peer.got() == [4]


def test_a_held_result_is_given_up_for_a_label_that_is_newer() -> None:
    serving = Serving()
    peer = serving.peer(every=1)
    serving.result()
    serving.result()
    serving.label()
    serving.clock.advance(2.0)
    assert peer.got() == [1, 3]


def test_what_was_held_for_a_filter_that_is_replaced_does_not_come() -> None:
    serving = Serving()
    peer = serving.peer(types="result", every=1)
    serving.result()
    serving.result()
    serving.hub.change(peer.subscriber, Subscription())
    serving.clock.advance(2.0)
    assert peer.got() == [1, "subscribed"]
    assert serving.clock.pending() == 0


def test_nothing_that_was_held_comes_after_a_close() -> None:
    serving = Serving(backlog=1)
    peer = serving.peer(types="result", every=1, policy="close")
    for source in 2 * ("desk", "door", "hall"):
        serving.result(source)
    assert peer.got() == [1, 2, 3]
    peer.pause()
    serving.clock.advance(1.0)  # of the three that are held, the first fits into the backlog
    assert peer.closed == [(TOO_SLOW, "too slow")]
    assert peer.got() == []
    assert serving.clock.pending() == 1  # the look at the transports, which finds nobody
    serving.clock.advance(10.0)
    assert serving.clock.pending() == 0


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


def test_an_error_of_the_daemon_is_told_whatever_a_filter_says_but_not_to_the_api_shape_or_to_those_behind() -> None:
    serving = Serving()
    picky, plain, behind = serving.peer(types=["label"]), serving.peer(shape="api"), serving.peer()
    behind.pause()
    serving.hub.tell(Error("--events cannot be written"))
    serving.clock.turn()
    assert (picky.got(), plain.transport.frames, behind.got()) == (["error"], [], [])


LEVEL = Level("desk", TIME, -42.1, -30.2, -61.0, {})


def test_a_level_reaches_those_who_name_it_and_its_source() -> None:
    serving = Serving()
    default, level, other, api = (
        serving.peer(),
        serving.peer(types="level"),
        serving.peer(types="level", sources="kitchen"),
        serving.peer(types="level", shape="api"),
    )
    serving.broadcast(LEVEL)
    serving.broadcast(Tick(7, TIME))
    assert [peer.got() for peer in (default, level, other, api)] == [[], ["level"], [], []]


def test_a_tick_reaches_those_who_name_it_whatever_sources_they_choose() -> None:
    serving = Serving()
    peer = serving.peer(types="tick,label", sources="kitchen")
    serving.broadcast(Tick(7, TIME))
    assert peer.transport.messages() == [{"type": "tick", "seq": 7, "time": TIME}]


def test_a_subscriber_that_is_behind_is_spared_levels_and_keeps_its_place_for_events() -> None:
    serving = Serving(backlog=2)
    peer = serving.peer(types="level,label")
    peer.pause()
    serving.label()
    for _ in range(100):
        serving.broadcast(LEVEL)
    serving.label()
    assert serving.hub.stats().skipped == 100
    peer.resume()
    serving.broadcast(LEVEL)
    assert peer.got() == [1, 2, "level"]


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


def test_what_is_published_in_one_turn_of_the_loop_goes_out_in_one_write_when_the_next_begins() -> None:
    serving = Serving()
    first, second, picky = serving.peer(), serving.peer(), serving.peer(types="label")
    writes = first.transport.writes
    serving.in_one_turn = True
    for _ in range(4):
        serving.label()
        serving.result()
    assert (first.got(), serving.hub.stats().delivered) == ([], 0)
    serving.clock.turn()
    assert first.transport.writes == second.transport.writes == picky.transport.writes == writes + 1
    assert (first.got(), picky.got()) == ([1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 5, 7])
    assert (serving.hub.stats().published, serving.hub.stats().delivered) == (8, 8 + 8 + 4)
    serving.clock.turn()
    assert first.transport.writes == writes + 1


def test_levels_and_errors_keep_their_place_between_the_events_of_a_turn() -> None:
    serving = Serving()
    peer = serving.peer(types="level,label")
    serving.in_one_turn = True
    serving.label()
    serving.broadcast(LEVEL)
    serving.hub.tell(Error("the disk is full"))
    serving.label()
    serving.clock.turn()
    assert peer.got() == [1, "level", "error", 2]


def test_a_turn_with_too_much_for_one_write_goes_out_in_several() -> None:
    serving = Serving()
    peer = serving.peer()
    serving.in_one_turn = True
    while not peer.transport.frames:
        serving.label()
    assert MAX_GATHERED_BYTES <= sum(map(len, peer.transport.frames)) < MAX_GATHERED_BYTES + 2000
    serving.label()
    serving.clock.turn()
    assert peer.got() == list(range(1, serving.seq + 1))


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


def test_who_falls_behind_by_a_write_has_got_all_of_it_and_the_backlog_begins_after() -> None:
    serving = Serving(backlog=2)
    slow, quick = serving.peer(), serving.peer()
    slow.transport.on_write = slow.pause
    serving.in_one_turn = True
    for _ in range(5):
        serving.label()
    serving.clock.turn()
    assert (slow.got(), serving.hub.stats().backlog) == ([1, 2, 3, 4, 5], 0)
    for _ in range(3):
        serving.label()
    serving.clock.turn()
    assert (serving.hub.stats().backlog, serving.hub.stats().dropped["oldest"]) == (2, 1)
    slow.transport.on_write = lambda: None
    slow.resume()
    assert (slow.got(), quick.got()) == ([(6, 6), 7, 8], [1, 2, 3, 4, 5, 6, 7, 8])


def test_who_falls_behind_in_the_middle_of_a_turn_misses_no_event_of_it() -> None:
    serving = Serving()
    peer = serving.peer(types="level,label")
    serving.in_one_turn = True
    serving.label()
    peer.pause()
    serving.broadcast(LEVEL)
    serving.label()
    serving.clock.turn()
    assert (peer.got(), serving.hub.stats().skipped, serving.hub.stats().backlog) == ([], 1, 2)
    peer.resume()
    assert peer.got() == [1, 2]


def test_a_held_result_whose_time_comes_goes_out_after_what_was_published_in_that_turn() -> None:
    serving = Serving()
    peer = serving.peer(every=1)
    serving.result()
    serving.result()
    serving.in_one_turn = True
    serving.clock.call_at(serving.clock.time() + 0.9, serving.label)
    serving.clock.advance(1.0)
    serving.clock.turn()
    assert peer.got() == [1, 3]  # 2 is given up, because 3 went out before


ACTS = ("label", "result", "pause", "resume", "change", "replay", "level", "turn")


@given(st.lists(st.sampled_from(ACTS), max_size=30), st.sampled_from([0, 5]))
def test_turns_change_nothing_of_the_numbers_that_a_subscriber_gets(acts: list[str], every: int) -> None:
    kept = []
    for in_one_turn in (False, True):
        serving = Serving(backlog=100)
        peer = serving.peer(every=every)
        serving.in_one_turn = in_one_turn
        for act in acts:
            match act:
                case "label":
                    serving.label()
                case "result":
                    serving.result()
                case "pause":
                    peer.pause()
                case "resume":
                    peer.resume()
                case "change" if not peer.subscriber.paused:
                    serving.hub.change(peer.subscriber, peer.subscriber.subscription)
                case "replay" if not peer.subscriber.paused:
                    serving.hub.hold(peer.subscriber)
                    serving.hub.go_live(peer.subscriber)
                case "level":
                    serving.broadcast(LEVEL)
                case "turn":
                    serving.clock.turn()
        serving.clock.turn()
        peer.resume()
        kept.append(peer.got())
    assert kept[0] == kept[1]


def test_what_nobody_will_get_is_told_to_all_whatever_they_filter_also_to_those_behind() -> None:
    serving = Serving()
    narrow, behind, scores = serving.peer(sources="other"), serving.peer(), serving.peer(shape="api")
    behind.pause()
    serving.hub.tell(Gap(4, 6, "too_old"))
    serving.clock.turn()
    assert (narrow.got(), behind.got(), scores.got()) == ([(4, 6)], [], [])
    behind.resume()
    assert behind.got() == [(4, 6)]
