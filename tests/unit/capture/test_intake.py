from __future__ import annotations

import itertools
import threading
from collections.abc import Callable

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio.types import Block, Samples
from earmark.capture.intake import PUT_SECONDS, QUEUE_SECONDS, Intake, IntakeStats
from earmark.capture.items import Ended, Failed, Gap, Item, Overflowed, Paused, Started

RATE = 1000  # Hz: a sample is a millisecond
FULL = round(QUEUE_SECONDS * RATE)
ROOM = round(PUT_SECONDS * RATE)
DEADLINE = 10.0


class Clock:
    """A monotonic clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 5_000_000_000

    def __call__(self) -> int:
        return self.now

    def pass_ms(self, milliseconds: int) -> None:
        self.now += milliseconds * 1_000_000


def ramp(start: int, count: int) -> Samples:
    """Samples whose value is their number, which shows every mix-up."""
    return np.arange(start, start + count, dtype=np.float32)


def silence(count: int) -> Samples:
    return np.zeros(count, np.float32)


def new(*, live: bool = True, clock: Clock | None = None) -> Intake:
    intake = Intake("test", lambda: None, live=live, clock=clock or Clock())
    intake.begin("device", RATE)
    return intake


def blocks(items: list[Item]) -> list[Block]:
    return [item for item in items if isinstance(item, Block)]


def positions(items: list[Item]) -> list[tuple[int, int]]:
    """Start and end of each block."""
    return [(block.position, block.position + len(block.samples)) for block in blocks(items)]


def test_positions_count_samples_from_zero() -> None:
    intake = new()
    intake.offer(silence(20))
    intake.offer(silence(30))
    assert positions(intake.drain()) == [(0, 20), (20, 50)]
    intake.offer(silence(1))
    assert positions(intake.drain()) == [(50, 51)]


def test_a_block_carries_its_rate_and_the_time_of_its_last_sample() -> None:
    clock = Clock()
    intake = new(clock=clock)
    clock.pass_ms(20)
    intake.offer(silence(20))
    [block] = blocks(intake.drain())
    assert (block.rate, block.captured) == (RATE, clock.now)


def test_what_was_offered_becomes_read_only() -> None:
    intake = new()
    samples = silence(20)
    intake.offer(samples)
    assert not samples.flags.writeable


def test_notices_and_sound_come_in_the_order_in_which_they_happened() -> None:
    intake = new()
    intake.offer(silence(10))
    intake.fail("lost", "unplugged")
    intake.begin("another", RATE)
    intake.overflow()
    intake.offer(silence(10))
    intake.end("enough")
    kinds = [Started, Block, Failed, Started, Overflowed, Block, Ended]
    assert [type(item) for item in intake.drain()] == kinds
    assert intake.drain() == []


def test_a_full_queue_loses_its_oldest_sound_and_counts_it() -> None:
    intake = new()
    for start in range(0, FULL + 200, 100):
        intake.offer(ramp(start, 100))
    kept = blocks(intake.drain())
    assert intake.dropped == 200
    assert kept[0].position == 200
    assert [block.samples[0] for block in kept] == [block.position for block in kept]
    assert sum(len(block.samples) for block in kept) == FULL


def test_a_queue_that_is_just_full_loses_nothing() -> None:
    intake = new()
    intake.offer(silence(FULL))
    assert intake.dropped == 0
    intake.offer(silence(1))
    assert intake.dropped == FULL


def test_one_block_longer_than_the_queue_is_taken() -> None:
    intake = new()
    intake.offer(silence(2 * FULL))
    assert positions(intake.drain()) == [(0, 2 * FULL)]


def test_notices_are_never_dropped_and_keep_their_order_when_sound_is() -> None:
    intake = new()
    intake.offer(silence(FULL))
    intake.fail("stalled", "first")
    intake.begin("device", RATE)
    intake.offer(silence(FULL))
    intake.fail("lost", "second")
    intake.offer(silence(FULL))
    notices = [item for item in intake.drain() if not isinstance(item, Block)]
    assert notices == [
        Started("device", RATE),
        Failed("stalled", "first"),
        Started("device", RATE),
        Failed("lost", "second"),
    ]


def test_draining_makes_room() -> None:
    intake = new()
    for _ in range(5):
        intake.offer(silence(FULL))
        intake.drain()
    assert intake.dropped == 0


def test_a_source_that_is_not_live_loses_nothing() -> None:
    intake = new(live=False)
    for _ in range(3):
        intake.offer(silence(FULL))
    assert intake.dropped == 0
    assert len(blocks(intake.drain())) == 3


def test_time_without_sound_becomes_a_jump() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(20))
    clock.pass_ms(3000)
    intake.fail("lost", "unplugged")
    clock.pass_ms(2000)
    intake.begin("device", RATE)
    clock.pass_ms(20)
    intake.offer(silence(20))  # began to sound 5.0 s after the last sample before
    clock.pass_ms(20)
    intake.offer(silence(20))
    items = intake.drain()
    assert positions(items) == [(0, 20), (5020, 5040), (5040, 5060)]
    assert [type(item) for item in items] == [Started, Block, Failed, Started, Gap, Block, Block]
    assert items[4] == Gap(20, 5020, RATE)


def test_time_for_which_the_machine_was_suspended_is_missing_too() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(20))
    clock.pass_ms(100)
    intake.suspended(3600.0)
    intake.fail("lost", "suspended")
    intake.suspended(1.0)  # again, before the device was open
    clock.pass_ms(400)
    intake.begin("device", RATE)
    clock.pass_ms(20)
    intake.offer(silence(20))
    clock.pass_ms(20)
    intake.offer(silence(20))
    items = intake.drain()
    assert positions(items) == [(0, 20), (3_601_520, 3_601_540), (3_601_540, 3_601_560)]
    assert [item for item in items if isinstance(item, Gap)] == [Gap(20, 3_601_520, RATE)]


def test_a_source_that_goes_on_after_a_suspension_misses_as_much_as_that_took() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.begin("device", RATE, missed=0.5)
    intake.offer(silence(20))
    intake.drain()
    clock.pass_ms(3000)  # a program that sends bursts
    intake.suspended(60.0)
    intake.offer(silence(20))
    intake.offer(silence(20))
    items = intake.drain()
    assert [item for item in items if isinstance(item, Gap)] == [Gap(520, 60_520, RATE)]
    assert positions(items) == [(60_520, 60_540), (60_540, 60_560)]


def test_a_suspension_before_the_first_sound_is_no_gap_and_neither_is_one_of_a_recording() -> None:
    for intake in (new(), new(live=False)):
        if intake.live:
            intake.suspended(60.0)
        intake.offer(silence(20))
        if not intake.live:
            intake.suspended(60.0)
        intake.offer(silence(20))
        assert positions(intake.drain()) == [(0, 20), (20, 40)]


def test_a_gap_is_told_even_when_the_sound_around_it_is_dropped() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(FULL))
    clock.pass_ms(1000)
    intake.begin("device", RATE)
    clock.pass_ms(FULL)
    intake.offer(silence(FULL))
    intake.offer(silence(FULL))
    items = intake.drain()
    assert [item for item in items if isinstance(item, Gap)] == [Gap(FULL, FULL + 1000, RATE)]
    assert positions(items) == [(2 * FULL + 1000, 3 * FULL + 1000)]


def test_a_jump_is_never_backwards() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(20))
    intake.begin("device", RATE)
    clock.pass_ms(5)
    intake.offer(silence(100))  # a device that delivers at once what it had stored
    items = intake.drain()
    assert positions(items) == [(0, 20), (20, 120)]
    assert not [item for item in items if isinstance(item, Gap)]


def test_the_first_beginning_is_no_jump() -> None:
    clock = Clock()
    intake = Intake("test", lambda: None, clock=clock)
    intake.fail("starting", "not there yet")
    clock.pass_ms(60_000)
    intake.begin("device", RATE)
    intake.offer(silence(20))
    assert positions(intake.drain()) == [(0, 20)]


def test_a_recording_that_begins_again_does_not_jump() -> None:
    clock = Clock()
    intake = new(live=False, clock=clock)
    intake.offer(silence(20))
    clock.pass_ms(5000)
    intake.begin("file", RATE)
    intake.offer(silence(20))
    items = intake.drain()
    assert positions(items) == [(0, 20), (20, 40)]
    assert not [item for item in items if isinstance(item, Gap)]


def test_positions_are_converted_when_the_rate_changes() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(1000))
    clock.pass_ms(1000)
    intake.begin("another", 2 * RATE)
    clock.pass_ms(10)
    intake.offer(silence(20))
    items = intake.drain()
    assert positions(items) == [(0, 1000), (4000, 4020)]
    assert Gap(2000, 4000, 2 * RATE) in items


def test_overflows_are_told_once_until_they_are_heard() -> None:
    intake = new()
    intake.drain()
    for _ in range(1000):
        intake.overflow()
    assert intake.drain() == [Overflowed(0)]
    intake.offer(silence(20))
    intake.overflow()
    assert intake.drain()[1:] == [Overflowed(20)]
    assert intake.stats().overflows == 2


def test_everything_but_an_overflow_wakes_the_listening_thread() -> None:
    wakes = 0

    def wake() -> None:
        nonlocal wakes
        wakes += 1

    intake = Intake("test", wake)
    intake.begin("device", RATE)
    intake.offer(silence(1))
    intake.put(silence(1))
    intake.fail("lost", "")
    intake.end()
    assert wakes == 5
    intake.overflow()
    assert wakes == 5


def counting() -> tuple[Intake, list[str]]:
    """An intake that has begun and was drained, and a list that grows with each wake from now on."""
    wakes: list[str] = []
    intake = Intake("test", lambda: wakes.append("woken"))
    intake.begin("device", RATE)
    intake.drain()
    wakes.clear()
    return intake, wakes


def test_sound_wakes_when_as_much_is_queued_as_is_expected_and_a_notice_at_once() -> None:
    intake, wakes = counting()
    intake.expect(50)
    intake.offer(silence(20))
    intake.offer(silence(29))
    assert (len(wakes), intake.has_enough) == (0, False)
    intake.offer(silence(1))
    assert (len(wakes), intake.has_enough) == (1, True)
    intake.drain()
    intake.offer(silence(20))
    intake.pause(long=False)
    assert (len(wakes), intake.has_enough) == (2, True)


def test_what_was_queued_wakes_as_soon_as_no_more_is_expected() -> None:
    intake, wakes = counting()
    intake.expect(50)
    intake.offer(silence(20))
    intake.expect(21)
    assert (len(wakes), intake.has_enough) == (0, False)
    intake.expect(20)
    assert (len(wakes), intake.has_enough) == (1, True)


class Looked(threading.Event):
    """Calls `then` when it is looked at, which drain() does between the blocks and the notices."""

    def __init__(self) -> None:
        super().__init__()
        self.then: Callable[[], None] = lambda: None

    def is_set(self) -> bool:
        self.then()
        return super().is_set()


def test_what_came_while_the_queue_was_drained_wakes_once_more() -> None:
    wakes: list[str] = []
    room = Looked()
    intake = Intake("test", lambda: wakes.append("woken"), room=room)
    room.then = lambda: intake.pause(long=False)
    assert intake.drain() == []
    room.then = lambda: None
    wakes.clear()
    intake.expect(1000)
    assert (len(wakes), intake.has_enough, intake.drain()) == (1, True, [Paused(long=False)])


def test_nothing_wakes_where_nothing_is_queued() -> None:
    intake, wakes = counting()
    intake.expect(0)
    assert wakes == []


def test_a_closed_intake_refuses_sound_and_notices() -> None:
    intake = new()
    intake.drain()
    intake.close()
    intake.close()
    assert intake.closed
    intake.offer(silence(20))
    assert not intake.put(silence(20))
    intake.begin("device", RATE)
    intake.fail("lost", "")
    intake.end()
    assert intake.drain() == []


def test_what_was_queued_before_close_can_still_be_drained() -> None:
    intake = new()
    intake.offer(silence(20))
    intake.close()
    assert positions(intake.drain()) == [(0, 20)]


def test_the_counts_are_those_of_all_samples() -> None:
    intake = new()
    for _ in range(3):
        intake.offer(silence(FULL // 2))
    assert intake.stats() == IntakeStats(offered=3 * FULL // 2, queued=FULL, dropped=FULL // 2, overflows=0)
    intake.drain()
    assert intake.stats() == IntakeStats(offered=3 * FULL // 2, queued=0, dropped=FULL // 2, overflows=0)


def collect(intake: Intake, woken: threading.Event) -> list[list[Item]]:
    """What each drain() brings until the source has ended."""
    drains: list[list[Item]] = []
    while not any(isinstance(item, Ended) for items in drains[-1:] for item in items):
        assert woken.wait(DEADLINE)
        woken.clear()
        drains.append(intake.drain())
    return drains


def test_put_waits_for_room_and_loses_nothing() -> None:
    woken = threading.Event()
    intake = Intake("test", woken.set)
    size, count = ROOM // 2, 200

    def source() -> None:
        intake.begin("device", RATE)
        for number in range(count):
            assert intake.put(ramp(number * size, size))
        intake.end()

    threading.Thread(target=source, daemon=True).start()
    drains = collect(intake, woken)
    assert positions([item for items in drains for item in items]) == [
        (number * size, (number + 1) * size) for number in range(count)
    ]
    assert max(sum(len(block.samples) for block in blocks(items)) for items in drains) <= ROOM + size


class Room(threading.Event):
    """Tells when somebody begins to wait for it."""

    def __init__(self) -> None:
        super().__init__()
        self.waited_for = threading.Event()

    def wait(self, timeout: float | None = None) -> bool:
        self.waited_for.set()
        return super().wait(timeout)


def test_put_ends_when_it_is_closed() -> None:
    room = Room()
    intake = Intake("test", lambda: None, live=False, room=room)
    intake.begin("device", RATE)
    assert intake.put(silence(ROOM))
    answers: list[bool] = []
    thread = threading.Thread(target=lambda: answers.append(intake.put(silence(20))), daemon=True)
    thread.start()
    assert room.waited_for.wait(DEADLINE)
    intake.close()
    thread.join(DEADLINE)
    assert answers == [False]


def test_two_threads_lose_nothing_and_keep_the_order() -> None:
    """One puts a ramp with notices of its own between, another tells other notices, ours drains as fast as it can."""
    woken = threading.Event()
    intake = Intake("test", woken.set)
    count, size = 2000, 50

    def supervise() -> None:
        for number in range(count):
            intake.fail("stalled", str(number))

    def sound(supervisor: threading.Thread) -> None:
        intake.begin("0", RATE)
        for number in range(count):
            intake.put(ramp(number * size, size))
            if number % 10 == 9:
                intake.fail("lost", str((number + 1) * size))
        supervisor.join(DEADLINE)
        intake.end()

    supervisor = threading.Thread(target=supervise, daemon=True)
    supervisor.start()
    threading.Thread(target=sound, args=(supervisor,), daemon=True).start()
    items = [item for items in collect(intake, woken) for item in items]
    end = 0
    for item in items:
        match item:
            case Failed("lost", where):
                assert int(where) == end, "notices and sound changed places"
            case Block(position, samples):
                assert position == end == samples[0]
                end += len(samples)
    assert end == count * size
    stalls = [int(item.detail) for item in items if isinstance(item, Failed) and item.state == "stalled"]
    assert stalls == list(range(count))


@given(st.lists(st.one_of(st.integers(1, 3000), st.just("drain"), st.just("notices")), max_size=60))
def test_every_sample_is_drained_once_or_counted_as_dropped(steps: list[int | str]) -> None:
    intake = new()
    offered = notices = 0
    items: list[Item] = []
    for step in steps:
        match step:
            case "drain":
                items += intake.drain()
            case "notices":
                intake.fail("stalled", str(notices))
                notices += 1
            case int(count):
                intake.offer(ramp(offered, count))
                offered += count
    items += intake.drain()
    got = blocks(items)
    assert sum(len(block.samples) for block in got) + intake.dropped == offered
    ends = positions(items)
    assert all(end <= start for (_, end), (start, _) in itertools.pairwise(ends))
    assert all(block.samples[0] == block.position for block in got)
    assert [item.detail for item in items if isinstance(item, Failed)] == [str(number) for number in range(notices)]


def test_a_source_that_knows_what_it_missed_jumps_by_that() -> None:
    clock = Clock()
    intake = new(clock=clock)
    intake.offer(silence(100))
    clock.pass_ms(5000)
    intake.begin("device", RATE, missed=1.5)
    intake.offer(silence(100))
    intake.begin("device", RATE, missed=0.0)
    intake.offer(silence(100))
    items = intake.drain()
    assert positions(items) == [(0, 100), (1600, 1700), (1700, 1800)]
    assert [item for item in items if isinstance(item, Gap)] == [Gap(100, 1600, RATE)]


def test_a_pause_is_told_in_its_place() -> None:
    intake = new()
    intake.offer(silence(100))
    intake.pause(long=False)
    intake.offer(silence(100))
    assert [type(item) for item in intake.drain()] == [Started, Block, Paused, Block]


def test_names_that_are_no_utf8_are_told_as_text_that_can_be_encoded() -> None:
    intake = Intake("file", lambda: None)
    intake.begin("caf\udce9.wav", RATE)
    intake.fail("lost", "caf\ud800.wav is gone")
    intake.end("Caf\u00e9, caf\udce9.wav: no such file")
    assert intake.drain() == [
        Started("caf\ufffd.wav", RATE),
        Failed("lost", "caf\ufffd.wav is gone"),
        Ended("Caf\u00e9, caf\ufffd.wav: no such file"),
    ]
