"""Whatever is published and pruned during a replay, all that is kept comes once, and gaps cover exactly the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.broadcast.hub import Hub
from earmark.broadcast.sink import Published
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import parse
from earmark.gateway.gone import Gone
from earmark.history.kept import HistoryQuery, Page
from earmark.history.pages import page
from earmark.history.position import Position
from earmark.history.recent import Recent
from earmark.protocol.events import Hello, Label, Numbered, Result, Score, encode
from earmark.stream.replay import STEP_BYTES, STEP_EVENTS, Replay, Step
from tests.transports import HandClock, HandTransport

EPOCH = "9f2c"
BEGAN = datetime(2026, 11, 22, 7, 31, tzinfo=UTC)


class Disk:
    """A journal by hand: it has what write() was told, and loses what prune() is told."""

    def __init__(self) -> None:
        self.epoch = EPOCH
        self.newest = 0
        self.events: list[Published] = []
        self.waiting: list[Published] = []

    @property
    def oldest(self) -> int:
        return self.events[0].event.seq if self.events else self.newest + 1

    def publish(self, published: Published) -> None:
        self.newest = published.event.seq
        self.waiting.append(published)

    def write(self) -> None:
        self.events += self.waiting
        self.waiting.clear()

    def lose(self) -> None:
        """Never write what waits: the disk is full."""
        self.waiting.clear()

    def prune(self, count: int) -> None:
        del self.events[:count]

    def read(self, seq: int, limit: int) -> list[Published]:
        return [published for published in self.events if published.event.seq > seq][:limit]

    async def after(self, seq: int, limit: int) -> Sequence[Published]:
        return self.read(seq, limit)

    async def search(self, query: HistoryQuery) -> Page:
        return page(self.events, query)


class Coming:
    """A subscriber of a hub that comes back, and what is published meanwhile. The clock is moved by hand."""

    def __init__(self, recent: int = 3, disk: Disk | None = None, backlog: int = 3, **query: object) -> None:
        self.clock = HandClock()
        self.recent = Recent(EPOCH, events=recent)
        self.disk = disk
        self.seq = 0
        self.utc = BEGAN
        self.hub = Hub(backlog, lambda: Hello("1", EPOCH, self.seq, 1, (), ()), 600, self.clock)
        self.transport = HandTransport()
        self.closed: list[int] = []
        self.subscriber = Subscriber(self.transport, parse(query), lambda code, _: self.closed.append(code))

    def publish(self, count: int = 1, *, label: bool = False, seconds: float = 0.0) -> None:
        for _ in range(count):
            self.seq += 1
            self.pass_time(seconds)
            self._publish(on(self.seq, self.utc) if label else result(self.seq, self.utc))

    def _publish(self, event: Numbered) -> None:
        published = Published(event, encode(event))
        if self.disk is not None:
            self.disk.publish(published)
        self.recent.publish(published)
        self.hub.publish(published)
        self.clock.turn()

    def pass_time(self, seconds: float) -> None:
        self.utc += timedelta(seconds=seconds)
        self.clock.advance(seconds)

    def come(self, seq: int, epoch: str = EPOCH) -> Replay:
        self.hub.hold(self.subscriber)
        return Replay(self.subscriber, Position(epoch, seq), self.disk or self.recent, self.recent)

    def step(self, replay: Replay, limit: int = STEP_EVENTS) -> Step:
        """Do a step, and what it asks for. Nothing that can be read means that nothing will be."""
        step = replay.step(self.clock.time(), self.utc.timestamp())
        if step is Step.LIVE:
            self.hub.go_live(self.subscriber)
        elif step is Step.READ:
            events = self.disk.read(replay.position, limit) if self.disk is not None else []
            replay.take(events) if events else replay.skip()
        return step

    def run(self, replay: Replay, limit: int = STEP_EVENTS) -> int:
        """Do all steps until the subscriber is live, and return how many it took."""
        steps = 1
        while self.step(replay, limit) is not Step.LIVE:
            steps += 1
        return steps

    def got(self) -> list[Any]:
        return told(self.transport)


def told(transport: HandTransport) -> list[Any]:
    """Return what has come since the last call: numbers of events, and gaps as their cause, first and last."""
    return [
        (message["cause"], message["from"], message["to"], *([message["events"]] if "events" in message else []))
        if message.get("type") == "gap"
        else message["seq"]
        for message in transport.messages()
    ]


def result(seq: int, time: datetime, source: str = "desk") -> Result:
    scores = (Score(0.9, "stop"), Score(0.1, "go"))
    return Result(seq, stamp(time), source, "words", 1.0, 2.0, result=scores)


def on(seq: int, time: datetime) -> Label:
    return Label(seq, stamp(time), "desk", "words", f"e-{seq}", "stop", "on", 1.0, score=0.9, end=1.6)


def stamp(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_what_was_missed_comes_first_and_then_the_live_stream() -> None:
    coming = Coming()
    coming.publish(5)
    replay = coming.come(3)
    assert coming.run(replay) == 1
    coming.publish(2)
    assert coming.got() == [4, 5, 6, 7]
    assert replay.sent == 2


def test_a_subscriber_that_missed_nothing_is_live_at_once() -> None:
    coming = Coming()
    coming.publish(5)
    assert coming.run(coming.come(5)) == 1
    coming.publish()
    assert coming.got() == [6]


def test_what_memory_has_forgotten_is_read() -> None:
    coming = Coming(disk=Disk())
    coming.publish(9)
    assert coming.disk is not None
    coming.disk.write()
    coming.run(coming.come(1), limit=2)
    assert coming.got() == list(range(2, 10))


def test_a_gap_tells_what_is_no_longer_kept() -> None:
    coming = Coming()
    coming.publish(5)
    coming.run(coming.come(0))
    assert coming.got() == [("too_old", 1, 2), 3, 4, 5]


def test_after_a_new_beginning_a_gap_tells_of_it_and_everything_kept_follows() -> None:
    coming = Coming()
    coming.publish(5)
    coming.run(coming.come(900, "before"))
    assert coming.got() == [("epoch", 1, 2), 3, 4, 5]


def test_a_new_beginning_is_told_also_where_nothing_of_the_new_numbering_is_missing() -> None:
    coming = Coming()
    coming.publish(2)
    coming.run(coming.come(900, "before"))
    assert coming.got() == [("epoch", 1, 0), 1, 2]


def test_where_nothing_is_kept_the_gap_covers_everything() -> None:
    coming = Coming(recent=0)
    coming.publish(5)
    coming.run(coming.come(2))
    coming.publish()
    assert coming.got() == [("too_old", 3, 5), 6]


def test_pruning_past_a_slow_replay_gives_a_gap() -> None:
    coming = Coming(disk=Disk())
    assert coming.disk is not None
    coming.publish(12)
    coming.disk.write()
    replay = coming.come(0)
    assert coming.step(replay, 2) is Step.READ
    assert coming.step(replay) is Step.MORE
    coming.disk.prune(6)
    coming.run(replay)
    assert coming.got() == [1, 2, ("too_old", 3, 6), *range(7, 13)]


def test_events_that_were_never_written_give_a_gap_where_they_are_missing() -> None:
    coming = Coming(disk=Disk())
    assert coming.disk is not None
    coming.publish(2)
    coming.disk.write()
    coming.publish(3)
    coming.disk.lose()
    coming.publish(2)
    coming.disk.write()
    coming.publish(4)
    coming.run(coming.come(0))
    assert coming.got() == [1, 2, ("too_old", 3, 5), 6, 7, ("too_old", 8, 8), 9, 10, 11]


def test_events_in_memory_are_enough_where_the_disk_has_been_pruned_further() -> None:
    coming = Coming(disk=Disk())
    assert coming.disk is not None
    coming.publish(5)
    coming.disk.write()
    coming.disk.prune(5)
    coming.run(coming.come(2))
    assert coming.got() == [3, 4, 5]


def test_the_filter_holds_for_what_is_replayed() -> None:
    coming = Coming(recent=9, types="label")
    coming.publish(2)
    coming.publish(label=True)
    coming.publish(2)
    coming.run(coming.come(0))
    assert coming.got() == [3]


def test_results_are_cut_to_the_labels_that_are_wanted() -> None:
    coming = Coming(top_k=1)
    coming.publish()
    coming.run(coming.come(0))
    assert [message["result"] for message in coming.transport.messages()] == [[{"score": 0.9, "label": "stop"}]]


def test_arrays_are_all_that_a_subscriber_of_arrays_gets() -> None:
    coming = Coming(recent=2, shape="api")
    coming.publish(3)
    coming.publish(label=True)
    coming.run(coming.come(0))
    array = encode(result(1, BEGAN)).partition(b'"result":')[2].rpartition(b"}")[0].replace(b'},{"end', b"")
    assert [frame[2:] for frame in coming.transport.frames] == [array]


def test_results_are_thinned_out_by_their_own_times() -> None:
    coming = Coming(recent=99, every=1.0)
    coming.publish(10, seconds=0.3)  # the first at 0.3 s, and then the newest at 1.3, 2.3 and 3.3
    coming.pass_time(60)
    coming.run(coming.come(0))
    assert coming.got() == [1, 4, 7, 10]


def test_a_replay_is_thinned_out_as_the_live_stream_was() -> None:
    live, coming = Coming(recent=99, every=1.0), Coming(recent=99, every=1.0)
    live.hub.go_live(live.subscriber)
    for each in (live, coming):
        each.publish(7, seconds=0.4)
        each.publish(2, label=True, seconds=0.3)
        each.publish(9, seconds=0.3)
        each.pass_time(5)
    coming.run(coming.come(0))
    assert coming.got() == live.got()


def test_a_result_that_is_held_at_the_seam_comes_at_its_time() -> None:
    coming = Coming(recent=99, every=1.0)
    coming.publish(2, seconds=0.2)
    coming.run(coming.come(0))
    assert coming.got() == [1]
    coming.pass_time(0.79)
    assert coming.got() == []
    coming.pass_time(0.02)
    assert coming.got() == [2]


def test_times_from_a_clock_that_was_ahead_hold_nothing_back_for_long() -> None:
    coming = Coming(recent=99, every=1.0)
    coming.publish(2, seconds=3600)
    coming.utc -= timedelta(hours=2)
    coming.run(coming.come(0))
    coming.pass_time(1.0)
    assert coming.got() == [1, 2]


def test_nothing_is_written_while_the_transport_is_full() -> None:
    coming = Coming(recent=9)
    coming.publish(5)
    replay = coming.come(0)
    coming.hub.pause(coming.subscriber)
    assert (coming.step(replay), coming.got()) == (Step.FULL, [])
    coming.hub.resume(coming.subscriber)
    assert (coming.step(replay), coming.got()) == (Step.LIVE, [1, 2, 3, 4, 5])


def test_a_step_looks_at_a_bounded_number_of_events() -> None:
    coming = Coming(recent=10 * STEP_EVENTS)
    coming.publish(STEP_EVENTS)
    assert coming.run(coming.come(0)) == 1
    coming.hub.leave(coming.subscriber)
    coming.publish()
    assert coming.run(coming.come(0)) == 2
    assert coming.got() == [*range(1, STEP_EVENTS + 1), *range(1, STEP_EVENTS + 2)]


def test_a_step_writes_a_bounded_number_of_bytes() -> None:
    coming = Coming(recent=9)
    for _ in range(4):
        coming.seq += 1
        coming._publish(result(coming.seq, BEGAN, "x" * (STEP_BYTES // 2 + 1)))
    replay = coming.come(0)
    assert (coming.step(replay), coming.got()) == (Step.MORE, [1, 2])
    assert (coming.step(replay), coming.got()) == (Step.MORE, [3, 4])
    assert (coming.step(replay), coming.got()) == (Step.LIVE, [])


def test_the_seam_is_larger_than_the_backlog_and_loses_nothing() -> None:
    coming = Coming(recent=99, backlog=1, policy="close")
    coming.publish(50)
    replay = coming.come(0)
    coming.transport.on_write = lambda: coming.hub.pause(coming.subscriber)
    assert coming.step(replay) is Step.LIVE
    assert coming.got() == list(range(1, 51))
    coming.publish(2)
    assert coming.closed == [1013]


def test_a_subscriber_that_is_full_at_the_seam_gets_the_rest_from_its_backlog() -> None:
    coming = Coming(recent=9)
    coming.publish(2)
    replay = coming.come(0)
    coming.transport.on_write = lambda: coming.hub.pause(coming.subscriber)
    coming.step(replay)
    coming.publish(2)
    assert coming.got() == [1, 2]
    coming.transport.on_write = lambda: None
    coming.hub.resume(coming.subscriber)
    assert coming.got() == [3, 4]


ACTIONS = st.lists(
    st.one_of(
        st.tuples(st.just("publish"), st.integers(1, 7)),
        st.tuples(st.just("prune"), st.integers(1, 5)),
        st.tuples(st.sampled_from(["write", "lose", "step", "step", "full", "free"]), st.just(0)),
    ),
    max_size=40,
)


@given(
    before=st.integers(0, 30),
    position=st.integers(0, 30),
    same=st.booleans(),
    recent=st.integers(0, 12),
    has_disk=st.booleans(),
    limit=st.integers(1, 9),
    labels_only=st.booleans(),
    actions=ACTIONS,
)
def test_everything_comes_once_and_in_order_or_lies_in_a_gap(
    before: int,
    position: int,
    same: bool,
    recent: int,
    has_disk: bool,
    limit: int,
    labels_only: bool,
    actions: list[tuple[str, int]],
) -> None:
    disk = Disk() if has_disk else None
    coming = Coming(recent, disk, backlog=10_000, **({"types": "label"} if labels_only else {}))

    def act(action: str, count: int) -> None:
        match action:
            case "publish":
                for _ in range(count):
                    coming.publish(label=coming.seq % 3 == 0)
            case "prune" if disk is not None:
                disk.prune(count)
            case "write" if disk is not None:
                disk.write()
            case "lose" if disk is not None:
                disk.lose()

    def step() -> bool:
        """Do a step, and check that gaps hold nothing that could be had. Returns whether the subscriber is live."""
        is_live = coming.step(replay, limit) is Step.LIVE
        kept = {
            each.event.seq
            for each in [
                *(disk.events if disk is not None else ()),
                *(coming.recent.since(coming.recent.oldest - 1) or ()),
            ]
        }
        for each in coming.got():
            if isinstance(each, tuple):
                assert each[0] == ("too_old" if same or told else "epoch")
                assert not kept & {*range(each[1], each[2] + 1)}
                covered.extend(range(each[1], each[2] + 1))
            else:
                covered.append(each)
            told.append(each)
        return is_live

    act("publish", before)
    act("write", 0)
    position = min(position, before)
    replay = coming.come(position, EPOCH if same else "before")
    told: list[Any] = []
    covered: list[int] = []
    live = False
    for action, count in actions:
        act(action, count)
        if action == "full":
            coming.hub.pause(coming.subscriber)
        if action == "free":
            coming.hub.resume(coming.subscriber)
        if action == "step" and not live:
            live = step()
    coming.hub.resume(coming.subscriber)
    while not live:
        live = step()
    act("publish", 2)

    covered += coming.got()
    wanted = range((position if same else 0) + 1, coming.seq + 1)
    assert covered == [seq for seq in wanted if not labels_only or seq in covered or seq % 3 == 1]


@pytest.mark.parametrize("actions", [[("lose", 0)], []])
def test_a_replay_ends_where_nothing_can_be_read(actions: list[tuple[str, int]]) -> None:
    coming = Coming(disk=Disk())
    coming.publish(9)
    if actions:
        assert coming.disk is not None
        coming.disk.lose()
    coming.run(coming.come(1))
    assert coming.got() == [("too_old", 2, 6), 7, 8, 9]


def partial(recent: Recent, lost: Sequence[int], transport: HandTransport, kept: Recent | None = None) -> Replay:
    """A replay from the beginning over numbers of which only some have an event here, and `lost` are lost."""

    gone = Gone(part=True)
    for seq in lost:
        gone.note(seq, 1 + (seq == 5))
    subscriber = Subscriber(transport, parse({}), lambda code, reason: None)
    return Replay(subscriber, Position(EPOCH, 0), recent if kept is None else kept, recent, gone)


@pytest.mark.parametrize(
    ("lost", "got"), [((), [3, 7]), ((5,), [3, ("too_old", 4, 5, 3), 7]), ((1, 2), [("too_old", 1, 2), 3, 7])]
)
def test_a_number_that_never_had_an_event_here_is_no_gap(lost: tuple[int, ...], got: list[object]) -> None:
    recent, transport = Recent(EPOCH), HandTransport()
    replay = partial(recent, lost, transport)
    replay.take([Published(event, encode(event)) for event in (result(3, BEGAN), result(7, BEGAN))])
    recent.pass_over(7)
    while replay.step(0.0, 0.0) is not Step.LIVE:
        pass
    assert told(transport) == got


@pytest.mark.parametrize(("lost", "got"), [((), []), ((4,), [("too_old", 1, 4)])])
def test_where_nothing_is_kept_after_the_position_the_replay_goes_on_behind_what_was_read(
    lost: tuple[int, ...], got: list[object]
) -> None:
    recent, disk, transport = Recent(EPOCH, newest=9), Recent(EPOCH), HandTransport()
    disk.pass_over(9)
    replay = partial(recent, lost, transport, disk)
    assert replay.step(0.0, 0.0) is Step.READ
    replay.found_nothing(9)
    assert replay.step(0.0, 0.0) is Step.LIVE
    assert told(transport) == got
