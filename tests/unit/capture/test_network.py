from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import Block
from earmark.capture.intake import Intake
from earmark.capture.items import Failed, Gap, Item, Paused, Started
from earmark.capture.network import MAX_CLIENTS, Feed, Network, Sound
from earmark.config import sources as config
from earmark.devices.suspension import Suspension

RATE = 16000
SECOND = 1_000_000_000


class Bench:
    """A network source on a clock that stands still. `told` is what it has delivered since the last look, in short."""

    def __init__(self, **settings: float) -> None:
        self.now = 100.0
        self.slept = 0.0  # seconds for which the machine was suspended
        suspension = Suspension(lambda: 0, lambda: round(self.slept * SECOND))
        self.intake = Intake("phone", wake=lambda: None, clock=lambda: round(self.now * SECOND))
        self.network = Network(
            config.Network(name="phone", **settings),  # type: ignore[arg-type]
            self.intake,
            suspension=suspension,
            clock=lambda: self.now,
        )

    def connect(self, lost: float | None = None, *, rate: int = RATE, channels: int = 1) -> Feed:
        feed = self.network.connect("10.0.0.5", Sound(rate, channels, "s16le", lost))
        assert feed is not None
        if feed.has_turn:
            feed.begin()
        return feed

    def told(self) -> list[str]:
        return [short(item) for item in self.intake.drain()]

    def send(self, feed: Feed, seconds: float) -> None:
        """Send sound in real time, a tenth of a second at a time."""
        for _ in range(round(seconds * 10)):
            self.now += 0.1
            for piece in feed.pieces(bytes(2 * RATE // 10)):
                assert feed.wait() == 0
                feed.put(piece)


def short(item: Item) -> str:
    match item:
        case Block(position, samples):
            return f"{position}+{len(samples)}"
        case Started(device, rate):
            return f"started {device} {rate}"
        case Failed(state, detail):
            return f"{state}: {detail}"
        case Gap(start, end):
            return f"gap {start}-{end}"
        case Paused(long):
            return "long pause" if long else "short pause"
        case other:
            return type(other).__name__


def test_a_source_waits_for_a_client_and_says_so() -> None:
    bench = Bench()
    bench.network.start()
    assert bench.told() == ["starting: waits for a client that sends its sound"]


def test_the_first_sound_starts_the_source_and_the_end_loses_it() -> None:
    bench = Bench()
    feed = bench.connect()
    assert bench.told() == []
    bench.send(feed, 0.2)
    feed.end("has ended")
    assert bench.told() == [
        "started 10.0.0.5 16000",
        "0+1600",
        "1600+1600",
        "long pause",
        "lost: 10.0.0.5 has ended; waits for a client that sends its sound",
    ]


def test_one_client_at_a_time_sends() -> None:
    bench = Bench()
    feed = bench.connect()
    assert bench.network.is_taken
    assert bench.network.connect("10.0.0.6", Sound(RATE, 1, "s16le")) is None
    feed.end("has ended")
    assert bench.network.connect("10.0.0.6", Sound(RATE, 1, "s16le")) is not None


def test_clients_that_come_while_another_is_heard_have_their_turns_in_order() -> None:
    bench = Bench()
    first = bench.connect()
    first.has_gone = True
    second = bench.connect()
    assert (first.has_turn, second.has_turn, bench.network.is_taken) == (True, False, True)
    assert bench.network.connect("10.0.0.6", Sound(RATE, 1, "s16le")) is None

    second.has_gone = True
    third = bench.connect()
    first.end("has ended")
    assert (second.has_turn, third.has_turn) == (True, False)
    third.end("has ended")  # it has not had its turn, so nothing is said of it
    second.end("was cut off")
    lost = [line.partition(";")[0] for line in bench.told() if line.startswith("lost")]
    assert lost == ["lost: 10.0.0.5 has ended", "lost: 10.0.0.5 was cut off"]
    assert not bench.network.is_taken


def test_only_so_many_clients_that_have_gone_may_leave_sound_behind() -> None:
    bench = Bench()
    for _ in range(MAX_CLIENTS):
        bench.connect().has_gone = True
    assert bench.network.is_full
    assert not bench.network.is_taken
    assert bench.network.connect("10.0.0.6", Sound(RATE, 1, "s16le")) is None


@pytest.mark.parametrize("lost", [None, 3.5, 0.0])
def test_a_client_that_comes_back_has_a_gap_of_what_it_lost_or_else_of_the_time_between(lost: float | None) -> None:
    bench = Bench()
    first = bench.connect()
    bench.send(first, 0.1)
    first.end("was cut off")
    bench.now += 2.0
    bench.told()
    bench.send(bench.connect(lost), 0.1)
    samples = round((2.0 if lost is None else lost) * RATE)
    gap = [f"gap 1600-{1600 + samples}"] if samples else []
    assert bench.told() == ["started 10.0.0.5 16000", *gap, f"{1600 + samples}+1600"]


def test_what_a_client_lost_counts_in_a_daemon_that_has_just_started() -> None:
    bench = Bench()
    bench.send(bench.connect(lost=0.5), 0.1)
    assert bench.told() == ["started 10.0.0.5 16000", "gap 0-8000", "8000+1600"]


def test_a_message_may_end_in_the_middle_of_a_sample() -> None:
    bench = Bench()
    feed = bench.connect(channels=2)
    data = np.arange(12, dtype="<i2").tobytes()
    pieces = [piece for part in (data[:5], data[5:7], data[7:]) for piece in feed.pieces(part)]
    np.testing.assert_array_equal(np.concatenate(pieces) * 2**15, [0.5, 2.5, 4.5, 6.5, 8.5, 10.5])


def test_what_a_client_sends_after_the_machine_was_suspended_is_not_joined_to_what_it_sent_before() -> None:
    """The clocks are played. Only the client knows what it missed: a loss is for it to tell."""
    bench = Bench()
    feed = bench.connect()
    bench.slept = 60.0
    bench.send(feed, 0.1)
    bench.send(feed, 0.1)
    bench.slept += 60.0
    bench.send(feed, 0.1)
    bench.send(feed, 0.1)
    assert bench.told() == ["started 10.0.0.5 16000", "0+1600", "1600+1600", "long pause", "3200+1600", "4800+1600"]


def test_a_connected_client_without_sound_is_stalled_and_goes_on_where_it_was() -> None:
    bench = Bench(stall_s=5.0)
    feed = bench.connect()
    bench.send(feed, 0.1)
    bench.told()
    for _ in range(51):
        bench.now += 0.1
        feed.idle()
    assert bench.told() == [
        "short pause",
        "long pause",
        "stalled: 10.0.0.5: is connected and has sent nothing for 5 s",
    ]
    bench.send(feed, 0.1)
    assert bench.told() == ["started 10.0.0.5 16000", "1600+1600"]


def test_a_client_that_connects_and_sends_nothing_is_stalled() -> None:
    bench = Bench()
    feed = bench.connect()
    bench.now += 5.0
    feed.idle()
    assert bench.told() == ["stalled: 10.0.0.5: is connected and has sent nothing for 5 s"]


def test_a_client_waits_while_a_second_of_its_sound_has_not_been_taken() -> None:
    bench = Bench()
    feed = bench.connect()
    bench.now += 10.0
    while not feed.wait():
        feed.put(np.zeros(RATE // 10, np.float32))
    assert bench.intake.stats().queued == RATE + RATE // 10
    bench.told()
    assert feed.wait() == 0
    assert bench.intake.stats().dropped == 0


def test_a_client_that_is_there_when_the_source_starts_keeps_its_state() -> None:
    bench = Bench()
    feed = bench.connect()
    bench.send(feed, 0.1)
    bench.network.start()
    assert bench.told() == ["started 10.0.0.5 16000", "0+1600"]
