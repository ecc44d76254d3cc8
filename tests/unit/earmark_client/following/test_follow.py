from __future__ import annotations

import pytest

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import Event, Gap, Hello, Label, Tick, encode
from earmark_client.following.follow import MAX_DELAY, MIN_DELAY, Failure, Follower
from earmark_client.following.position import Position
from tests.serving import TIME, command, hello, result

LOST = Failure(ServerError("the connection was lost"))
NO_SINCE = Failure(SubscriptionError("since: this daemon cannot resume"), final=True)


def greeting(epoch: str = "e", seq: int = 0, oldest: int = 1) -> Hello:
    return Hello("1.0", epoch, seq, oldest, (), ())


def told(follower: Follower, *events: Event) -> list[Event | None]:
    """What the follower passes on of these events."""
    return [message.event for event in events for message in follower.take(encode(event).decode())]


def connected(seq: int = 0, **more: object) -> Follower:
    """A follower that has connected and got event `seq`."""
    follower = Follower({"labels": "stop"})
    follower.filters()
    told(follower, greeting(seq=seq))
    return follower


def reconnected(follower: Follower) -> dict[str, object]:
    """The filters of the connection after one that was lost."""
    follower.lost(LOST)
    return dict(follower.filters())


def test_a_first_connection_asks_for_no_position_and_has_that_of_its_hello() -> None:
    follower = Follower({"labels": "stop"})
    assert follower.filters() == {"labels": "stop"}
    assert follower.position is None
    assert told(follower, greeting(seq=7)) == [greeting(seq=7)]
    assert follower.position == Position("e", 7)


def test_the_next_connection_goes_on_behind_the_last_event() -> None:
    follower = connected()
    told(follower, command(4), result(5))
    assert reconnected(follower) == {"labels": "stop", "since": "e:5"}
    assert told(follower, greeting(seq=9), command(6)) == [greeting(seq=9), command(6)]
    assert follower.position == Position("e", 6)


def test_a_hello_alone_does_not_move_the_position_of_a_stream_that_is_resumed() -> None:
    follower = connected(seq=5)
    reconnected(follower)
    told(follower, greeting(seq=9))
    assert reconnected(follower) == {"labels": "stop", "since": "e:5"}


def test_an_event_that_came_before_is_not_passed_on_again() -> None:
    follower = connected()
    told(follower, command(4), command(6))
    reconnected(follower)
    assert told(follower, greeting(seq=9), command(4), command(5), command(6), command(7))[1:] == [command(7)]
    assert follower.counts.repeated == 3


def test_a_given_position_is_where_the_first_connection_begins() -> None:
    follower = Follower({}, since=Position("e", 3))
    assert follower.filters() == {"since": "e:3"}
    assert told(follower, greeting(seq=9), command(4)) == [greeting(seq=9), command(4)]


@pytest.mark.parametrize("cause", ["too_old", "slow"])
def test_a_gap_is_passed_on_and_counted_and_the_position_is_behind_it(cause: str) -> None:
    follower = connected(seq=3)
    gap = Gap(4, 8, cause)  # type: ignore[arg-type]
    assert told(follower, gap) == [gap]
    assert follower.position == Position("e", 8)
    assert (follower.counts.gaps, follower.counts.missed) == (1, 5)


def test_a_new_epoch_begins_with_the_gap_that_the_daemon_tells() -> None:
    follower = connected(seq=30)
    reconnected(follower)
    gap = Gap(1, 4, "epoch")
    assert told(follower, greeting("f", 6, 5), gap, command(5), command(6))[1:] == [gap, command(5), command(6)]
    assert follower.position == Position("f", 6)


def test_a_new_epoch_of_which_nothing_is_missing_is_a_gap_without_numbers() -> None:
    follower = connected(seq=30)
    reconnected(follower)
    told(follower, greeting("f"), Gap(1, 0, "epoch"))
    assert follower.position == Position("f", 0)
    assert (follower.counts.gaps, follower.counts.missed) == (1, 0)


def test_a_connection_that_is_lost_before_the_gap_of_a_new_epoch_asks_for_the_old_position_again() -> None:
    follower = connected(seq=30)
    reconnected(follower)
    told(follower, greeting("f", 6, 5))
    assert reconnected(follower)["since"] == "e:30"


def test_a_new_epoch_without_a_gap_gets_one() -> None:
    follower = connected(seq=30)
    reconnected(follower)
    assert told(follower, greeting("f", 6, 5), command(5))[1:] == [Gap(1, 4, "epoch"), command(5)]


def test_a_daemon_that_cannot_resume_is_asked_without_a_position_at_once_and_the_gap_is_told() -> None:
    follower = connected(seq=3)
    reconnected(follower)
    assert follower.lost(NO_SINCE) == 0.0
    assert follower.filters() == {"labels": "stop"}
    assert told(follower, greeting(seq=8), command(9))[1:] == [Gap(4, 8, "too_old"), command(9)]
    assert reconnected(follower)["since"] == "e:9"


@pytest.mark.parametrize(("epoch", "seq"), [("f", 8), ("e", 2)])
def test_numbers_that_began_anew_at_a_daemon_that_cannot_resume_are_a_gap_of_the_epoch(epoch: str, seq: int) -> None:
    follower = connected(seq=3)
    reconnected(follower)
    follower.lost(NO_SINCE)
    follower.filters()
    assert told(follower, greeting(epoch, seq), command(seq + 1))[1:] == [Gap(1, seq, "epoch"), command(seq + 1)]


def test_nothing_is_missing_where_a_daemon_that_cannot_resume_has_told_nothing_meanwhile() -> None:
    follower = connected(seq=3)
    reconnected(follower)
    follower.lost(NO_SINCE)
    follower.filters()
    assert told(follower, greeting(seq=3)) == [greeting(seq=3)]


def test_a_position_that_was_given_and_is_refused_ends_the_stream() -> None:
    follower = Follower({}, since=Position("e", 3))
    follower.filters()
    with pytest.raises(SubscriptionError, match="since"):
        follower.lost(NO_SINCE)


def test_any_other_refusal_ends_the_stream() -> None:
    follower = connected()
    with pytest.raises(SubscriptionError, match="labels"):
        follower.lost(Failure(SubscriptionError("labels: no such label"), final=True))


def test_pauses_double_up_to_a_limit_and_begin_anew_after_a_hello() -> None:
    follower = Follower({})
    pauses = [follower.lost(LOST) for _ in range(8)]
    assert pauses == [MIN_DELAY * factor for factor in (1, 2, 4, 8, 16, 32)] + [MAX_DELAY] * 2
    told(follower, greeting())
    assert follower.lost(LOST) == MIN_DELAY


def test_a_pause_that_the_daemon_asks_for_is_kept_within_the_limit() -> None:
    busy = ServerError("no place")
    assert Follower({}).lost(Failure(busy, retry_after=3)) == 3
    assert Follower({}).lost(Failure(busy, retry_after=3600)) == MAX_DELAY


def test_the_jitter_spreads_the_pauses() -> None:
    assert Follower({}, jitter=lambda delay: delay * 1.25).lost(LOST) == MIN_DELAY * 1.25


def test_without_reconnecting_a_stream_that_was_closed_ends_and_one_that_broke_raises() -> None:
    assert Follower({}, reconnect=False).lost(Failure(EarmarkError("closed"), ended=True)) is None
    with pytest.raises(ServerError, match="lost"):
        Follower({}, reconnect=False).lost(LOST)


def test_an_unknown_type_has_no_event_is_counted_and_moves_the_position() -> None:
    follower = connected(seq=3)
    text = '{"type":"weather","seq":4,"time":"now"}'
    (message,) = follower.take(text)
    assert (message.text, message.event, follower.counts.unknown) == (text, None, 1)
    assert follower.position == Position("e", 4)
    assert list(follower.take(text)) == []


def test_an_unknown_field_is_ignored() -> None:
    follower = connected()
    (message,) = follower.take(encode(command(4)).decode().replace('"seq"', '"mood":[1],"seq"'))
    assert message.event == command(4)


def test_arrays_of_the_api_are_passed_on_as_they_are() -> None:
    follower = Follower({"shape": "api"})
    (message,) = follower.take('[{"score":0.81,"label":"stop"}]')
    assert (message.event, follower.position) == (None, None)


def test_what_is_no_json_is_no_daemon() -> None:
    with pytest.raises(ServerError, match="no Earmark daemon"):
        list(Follower({}).take("hello"))


def test_a_number_is_not_told_of_an_answer_to_a_changed_filter() -> None:
    follower = connected(seq=3)
    (message,) = follower.take('{"type":"subscribed","seq":9}')
    assert message.event is not None
    assert follower.position == Position("e", 3)


def test_a_label_of_a_replay_is_typed() -> None:
    follower = Follower({}, since=Position("e", 1))
    (_, label) = told(follower, hello("e", 9), command(2))
    assert isinstance(label, Label)


def test_a_tick_moves_the_position_where_the_filter_lets_nothing_pass() -> None:
    follower = connected(seq=3)
    assert told(follower, Tick(9, TIME)) == [Tick(9, TIME)]
    assert follower.position == Position("e", 9)
    assert told(follower, Tick(9, TIME)) == [Tick(9, TIME)]


def test_a_tick_moves_nothing_where_results_are_held_back_or_a_resumed_stream_has_only_its_hello() -> None:
    held = Follower({"every": 1.0})
    told(held, greeting(seq=3), Tick(9, TIME))
    assert held.position == Position("e", 3)
    resumed = Follower({}, since=Position("old", 3))
    told(resumed, greeting(seq=3), Tick(9, TIME))
    assert resumed.position == Position("old", 3)
