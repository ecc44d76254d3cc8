"""The dispatcher with a worker that answers when it is told to, and a clock that is set by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace

import numpy as np

from earmark.audio.types import SECOND, Floats, Samples
from earmark.errors import WorkerError
from earmark.inference.batch import MS, Batcher, Job
from earmark.inference.dispatch import Dispatcher, Drop
from earmark.inference.supervisor import EngineState


class FakeWorker:
    """Its logits are the sum of each window. `hold` makes it wait for release() with each batch."""

    def __init__(self, *, hold: bool = False) -> None:
        self.state = EngineState(phase="ready")
        self.batches: list[list[float]] = []
        self.error: Exception | None = None
        self.began = asyncio.Event()
        self._open = asyncio.Event()
        self._changed = asyncio.Event()
        if not hold:
            self._open.set()

    def release(self) -> None:
        self._open.set()

    def become(self, state: EngineState) -> None:
        self.state = state
        self._changed.set()
        self._changed = asyncio.Event()

    async def changed(self) -> None:
        await self._changed.wait()

    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats:
        self.batches.append([float(samples[0]) for samples in batch])
        self.began.set()
        await self._open.wait()
        if self.error:
            raise self.error
        return np.stack([samples.sum(keepdims=True) for samples in batch])


class Desk:
    """Where the answers land, in the order in which they come."""

    def __init__(self, worker: FakeWorker, batcher: Batcher | None = None, depth: int = 1) -> None:
        self.worker = worker
        self.now = SECOND
        self.answers: list[tuple[object, float]] = []
        self.drops: list[tuple[object, Drop]] = []
        self.dropped_one = asyncio.Event()
        self.dispatcher = Dispatcher(
            Batcher() if batcher is None else batcher,
            worker,
            answered=lambda job, row: self.answers.append((job.tag, float(row[0]))),
            dropped=self._dropped,
            clock=lambda: self.now,
            depth=depth,
        )

    def submit(self, *values: float, live: bool = True) -> None:
        for value in values:
            samples = np.full(4, value, np.float32)
            self.dispatcher.submit(Job("m", samples, live, self.now, value))

    def _dropped(self, job: Job, drop: Drop) -> None:
        self.drops.append((job.tag, drop))
        self.dropped_one.set()


def play(scene: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(10):
            await scene()

    asyncio.run(bounded())


def test_a_job_leaves_at_once_and_what_comes_meanwhile_leaves_together() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(hold=True))
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            await desk.worker.began.wait()
            desk.submit(2, 3, 4)
            assert dispatcher.pending == 4
            desk.worker.release()
            await dispatcher.drain()
            assert desk.worker.batches == [[1], [2, 3, 4]]
            assert desk.answers == [(1, 4), (2, 8), (3, 12), (4, 16)]
            assert dispatcher.pending == 0

    play(scene)


def test_live_goes_before_one_shot() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(hold=True))
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            await desk.worker.began.wait()
            desk.submit(2, live=False)
            desk.submit(3)
            desk.worker.release()
            await dispatcher.drain()
            assert desk.worker.batches == [[1], [3], [2]]

    play(scene)


def test_as_many_batches_are_with_the_worker_as_it_is_deep() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(hold=True), depth=2)
        async with desk.dispatcher as dispatcher:
            for value in (1, 2):
                desk.worker.began.clear()
                desk.submit(value)
                await desk.worker.began.wait()
            desk.submit(3, 4)
            desk.worker.release()
            await dispatcher.drain()
            assert desk.worker.batches == [[1], [2], [3, 4]]

    play(scene)


def test_a_window_that_grew_old_behind_a_batch_is_dropped_as_overload() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(hold=True), Batcher(max_age=2.0))
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            await desk.worker.began.wait()
            desk.submit(2)
            desk.submit(3, live=False)
            desk.now += 2 * SECOND + 1
            desk.worker.release()
            await dispatcher.drain()
            assert desk.drops == [(2, Drop("overload", "older than worker.max_age"))]
            assert desk.worker.batches == [[1], [3]]

    play(scene)


def test_while_the_worker_is_away_windows_wait_and_then_are_lost_to_the_worker() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(), Batcher(max_age=0.02))
        desk.worker.state = EngineState(phase="restarting", detail="the model process was killed by SIGKILL")
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            desk.submit(2, live=False)
            desk.now += 20 * MS + 1
            await desk.dropped_one.wait()
            assert desk.drops == [(1, Drop("worker", "the model process was killed by SIGKILL"))]
            assert desk.worker.batches == []
            desk.worker.become(replace(desk.worker.state, phase="ready"))
            await dispatcher.drain()
            assert desk.answers == [(2, 8)]

    play(scene)


def test_a_full_queue_drops_the_oldest_window_at_once() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(hold=True), Batcher(queue=1))
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            await desk.worker.began.wait()
            desk.submit(2, 3)
            assert desk.drops == [(2, Drop("overload", "the queue was full"))]
            desk.worker.release()
            await dispatcher.drain()
            assert [tag for tag, _ in desk.answers] == [1, 3]

    play(scene)


def test_a_batch_that_failed_is_lost_to_the_worker_and_the_next_is_answered() -> None:
    async def scene() -> None:
        for error in (WorkerError("m: died twice"), ZeroDivisionError("a bug")):
            desk = Desk(FakeWorker())
            desk.worker.error = error
            async with desk.dispatcher as dispatcher:
                desk.submit(1)
                await dispatcher.drain()
                ((tag, drop),) = desk.drops
                assert (tag, drop.cause) == (1, "worker")
                assert str(error) in drop.reason
                desk.worker.error = None
                desk.submit(2)
                await dispatcher.drain()
                assert desk.answers == [(2, 8)]

    play(scene)


def test_a_callback_that_raises_harms_nobody_else() -> None:
    async def scene() -> None:
        answers: list[object] = []

        def answered(job: Job, row: Floats) -> None:
            answers.append(job.tag)
            raise ZeroDivisionError

        async with Dispatcher(Batcher(), FakeWorker(), answered=answered, dropped=lambda job, drop: None) as dispatcher:
            for tag in (1, 2):
                dispatcher.submit(Job("m", np.zeros(4, np.float32), False, 0, tag))
            await dispatcher.drain()
            assert answers == [1, 2]

    play(scene)


def test_a_held_batch_leaves_when_its_oldest_has_waited_long_enough() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker(), Batcher(max_wait_ms=20))
        async with desk.dispatcher as dispatcher:
            desk.submit(1)
            for _ in range(3):  # whatever the loop has to do, it does not include the batch
                await asyncio.sleep(0)
            assert desk.worker.batches == []
            desk.submit(2)
            desk.now += 20 * MS
            await dispatcher.drain()
            assert desk.worker.batches == [[1, 2]]

    play(scene)


def test_discarded_jobs_come_back_to_the_caller_alone_and_count_as_done() -> None:
    async def scene() -> None:
        desk = Desk(FakeWorker())
        desk.worker.state = EngineState(phase="loading")
        async with desk.dispatcher as dispatcher:
            desk.submit(1, live=False)
            assert [job.tag for job in dispatcher.discard(lambda job: True)] == [1]
            await dispatcher.drain()
            assert (desk.answers, desk.drops) == ([], [])

    play(scene)
