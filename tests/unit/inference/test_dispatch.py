"""The dispatcher with an engine that answers when it is told to, and a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
import numpy as np
import pytest

from earmark.audio.types import SECOND, Floats, Samples
from earmark.errors import WorkerDied, WorkerError
from earmark.inference.batch import MS, Batcher, Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from tests.engines import FakeEngine, failing, sums


class Bench:
    """A dispatcher with a fake engine. `answers` and `drops` have what the jobs were told, in order."""

    def __init__(self, engine: FakeEngine, batcher: Batcher | None = None, depth: int = 1) -> None:
        self.engine = engine
        self.now = SECOND
        self.answers: list[tuple[float, float]] = []
        self.drops: list[tuple[float, Drop]] = []
        self.dropped_one = asyncio.Event()
        self.dispatcher = Dispatcher(
            Batcher() if batcher is None else batcher, engine, clock=lambda: self.now, depth=depth
        )

    def submit(self, *values: float, live: bool = True) -> None:
        for value in values:
            self.dispatcher.submit(Job("m", np.full(4, value, np.float32), live, self.now, partial(self._take, value)))

    def _take(self, value: float, outcome: Outcome) -> None:
        if isinstance(outcome, Drop):
            self.drops.append((value, outcome))
            self.dropped_one.set()
        else:
            self.answers.append((value, float(outcome[0])))


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(bounded())


async def idle() -> None:
    """Let the loop do whatever it has to do now."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_a_job_leaves_at_once_and_what_comes_meanwhile_leaves_together() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, 3, 4)
            assert dispatcher.pending == 4
            bench.engine.release()
            await dispatcher.drain()
            assert bench.engine.batches == [[1], [2, 3, 4]]
            assert bench.answers == [(1, 4), (2, 8), (3, 12), (4, 16)]
            assert dispatcher.pending == 0

    play(scene)


def test_jobs_are_counted_by_where_they_are_and_how_they_ended() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(queue=2, max_age=2.0))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, 3, 4)
            assert counters(dispatcher) == {"queued": 2, "classified": 1, "stale": 0, "pushed_out": 1, "in_flight": 1}
            bench.now += 2 * SECOND + 1
            bench.submit(5, live=False)
            bench.engine.release()
            await dispatcher.drain()
            assert counters(dispatcher) == {"queued": 0, "classified": 2, "stale": 2, "pushed_out": 1, "in_flight": 0}

    play(scene)


def counters(dispatcher: Dispatcher) -> dict[str, int]:
    """The numbers of windows alone."""
    return {name: value for name, value in msgspec.to_builtins(dispatcher.stats()).items() if isinstance(value, int)}


def test_the_age_of_the_window_that_waits_longest_is_told() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            assert dispatcher.stats().oldest == 0.0
            bench.submit(2)
            bench.now += SECOND // 2
            bench.submit(3, live=False)
            bench.now += SECOND // 4
            assert dispatcher.stats().oldest == 0.75
            bench.engine.release()
            await dispatcher.drain()

    play(scene)


def test_batches_are_counted_by_their_size_and_by_the_seconds_that_they_were_with_the_engine() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, 3, 4)
            bench.now += SECOND // 5
            bench.engine.release()
            await dispatcher.drain()
            stats = dispatcher.stats()
        assert (stats.batches.sum, sum(stats.batches.counts)) == (4, 2)
        seconds = stats.inference["m"]
        assert (seconds.sum, sum(seconds.counts), seconds.counts[seconds.bounds.index(0.25)]) == (0.2, 2, 1)

    play(scene)


def test_live_goes_before_one_shot() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, live=False)
            bench.submit(3)
            bench.engine.release()
            await dispatcher.drain()
            assert bench.engine.batches == [[1], [3], [2]]

    play(scene)


def test_a_full_batch_of_live_windows_goes_ahead_of_the_answer_to_the_one_before() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(max_batch=2), depth=2)
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, 3, 4, 5)
            await bench.engine.began()
            await idle()
            assert bench.engine.batches == [[1], [2, 3]]  # two are with the engine: no third
            bench.engine.release()
            await dispatcher.drain()
            assert bench.engine.batches == [[1], [2, 3], [4, 5]]

    play(scene)


@pytest.mark.parametrize(("depth", "values", "live"), [(1, (2, 3), True), (2, (2,), True), (2, (2, 3), False)])
def test_nothing_goes_ahead_at_depth_one_nor_a_batch_that_is_not_full_nor_clips(
    depth: int, values: tuple[float, ...], live: bool
) -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(max_batch=2), depth=depth)
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(*values, live=live)
            await idle()
            assert bench.engine.batches == [[1]]
            bench.engine.release()
            await dispatcher.drain()
            assert bench.engine.batches == [[1], [*values]]

    play(scene)


def test_a_window_that_grew_old_behind_a_batch_is_dropped_as_overload() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(max_age=2.0))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2)
            bench.submit(3, live=False)
            bench.now += 2 * SECOND + 1
            bench.engine.release()
            await dispatcher.drain()
            assert bench.drops == [(2, Drop("overload", "older than worker.max_age"))]
            assert bench.engine.batches == [[1], [3]]

    play(scene)


def test_while_the_worker_is_away_windows_wait_and_then_are_lost_to_the_worker() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(), Batcher(max_age=0.02))
        bench.engine.become(phase="restarting", detail="the model process was killed by SIGKILL")
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            bench.submit(2, live=False)
            bench.now += 20 * MS + 1
            await bench.dropped_one.wait()
            assert bench.drops == [(1, Drop("worker", "the model process was killed by SIGKILL"))]
            assert bench.engine.batches == []
            bench.engine.become(phase="ready")
            await dispatcher.drain()
            assert bench.answers == [(2, 8)]

    play(scene)


def test_a_window_that_waited_for_an_absent_worker_is_lost_to_it_though_it_is_back() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(max_age=2.0))
        bench.engine.become(phase="unresponsive", detail="")
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await idle()
            bench.now += 2 * SECOND + 1
            bench.engine.become(phase="ready")
            await bench.dropped_one.wait()
            assert bench.drops == [(1, Drop("worker", "the model process was away"))]
            bench.submit(2)
            await bench.engine.began()
            bench.submit(3)
            bench.now += 2 * SECOND + 1
            bench.engine.release()
            await dispatcher.drain()
            assert bench.drops[1:] == [(3, Drop("overload", "older than worker.max_age"))]

    play(scene)


def test_a_full_queue_drops_the_oldest_window_at_once() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(held=True), Batcher(queue=1))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await bench.engine.began()
            bench.submit(2, 3)
            assert bench.drops == [(2, Drop("overload", "the queue was full"))]
            bench.engine.release()
            await dispatcher.drain()
            assert [value for value, _ in bench.answers] == [1, 3]

    play(scene)


def test_a_batch_that_failed_is_lost_to_the_worker_and_the_next_is_answered() -> None:
    async def scene() -> None:
        for error in (WorkerError("m: died twice"), ZeroDivisionError("a bug")):
            bench = Bench(FakeEngine(failing(error)))
            async with bench.dispatcher as dispatcher:
                bench.submit(1)
                await dispatcher.drain()
                ((value, drop),) = bench.drops
                assert (value, drop.cause, drop.died) == (1, "worker", 0)
                assert str(error) in drop.reason
                bench.engine.logits = sums
                bench.submit(2)
                await dispatcher.drain()
                assert bench.answers == [(2, 8)]

    play(scene)


def test_each_job_is_told_how_many_were_in_the_batch_under_which_the_process_died() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(failing(WorkerDied("m: died"))))
        async with bench.dispatcher as dispatcher:
            bench.submit(1, 2, 3)
            await dispatcher.drain()
            assert bench.drops == [(value, Drop("worker", "m: died", died=3)) for value in (1, 2, 3)]

    play(scene)


@pytest.mark.parametrize("rows", [1, 3])
def test_too_few_or_too_many_rows_are_a_failure_of_the_whole_batch(rows: int) -> None:
    def wrong(batch: Sequence[Samples]) -> Floats:
        return np.zeros((rows, 1), np.float32)

    async def scene() -> None:
        bench = Bench(FakeEngine(wrong))
        async with bench.dispatcher as dispatcher:
            bench.submit(1, 2)
            await dispatcher.drain()
            reason = f"m: 2 windows were answered with {rows} rows"
            assert (bench.answers, bench.drops) == ([], [(1, Drop("worker", reason)), (2, Drop("worker", reason))])

    play(scene)


def test_a_reply_that_raises_affects_no_other_job() -> None:
    async def scene() -> None:
        answered: list[int] = []

        def reply(number: int, outcome: Outcome) -> None:
            answered.append(number)
            raise ZeroDivisionError

        async with Dispatcher(Batcher(), FakeEngine()) as dispatcher:
            for number in (1, 2):
                dispatcher.submit(Job("m", np.zeros(4, np.float32), False, 0, partial(reply, number)))
            await dispatcher.drain()
            assert answered == [1, 2]

    play(scene)


def test_a_held_batch_leaves_when_its_oldest_has_waited_long_enough() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine(), Batcher(max_wait_ms=20))
        async with bench.dispatcher as dispatcher:
            bench.submit(1)
            await idle()
            assert bench.engine.batches == []
            bench.submit(2)
            bench.now += 20 * MS
            await dispatcher.drain()
            assert bench.engine.batches == [[1, 2]]

    play(scene)


def test_discarded_jobs_come_back_to_the_caller_alone_and_count_as_done() -> None:
    async def scene() -> None:
        bench = Bench(FakeEngine())
        bench.engine.become(phase="loading")
        async with bench.dispatcher as dispatcher:
            bench.submit(1, live=False)
            assert [job.samples[0] for job in dispatcher.discard(lambda job: True)] == [1]
            await dispatcher.drain()
            assert (bench.answers, bench.drops) == ([], [])

    play(scene)
