"""What reaches which subscriber of a hub, in which order, and what waits or is lost."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.delivery import MAX_GATHERED_BYTES
from earmark.broadcast.hub import TOO_SLOW
from earmark.broadcast.subscription import Subscription
from earmark.protocol.events import Error, Gap, Level, Tick
from tests.hubs import TIME, Serving

LEVEL = Level("desk", TIME, -42.1, -30.2, -61.0, {})


def test_subscribers_with_equal_filters_are_sent_the_same_bytes() -> None:
    serving = Serving()
    first, second, other = serving.peer(top_k=1), serving.peer(top_k=1), serving.peer(top_k=2)
    serving.result()
    assert first.transport.frames[0] is second.transport.frames[0]
    assert first.transport.frames != other.transport.frames


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


def test_an_error_of_the_daemon_is_told_whatever_a_filter_says_but_not_to_the_api_shape_or_to_those_behind() -> None:
    serving = Serving()
    picky, plain, behind = serving.peer(types=["label"]), serving.peer(shape="api"), serving.peer()
    behind.pause()
    serving.hub.tell(Error("--events cannot be written"))
    serving.clock.turn()
    assert (picky.got(), plain.transport.frames, behind.got()) == (["error"], [], [])


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
