"""Clips through a real dispatcher, with a worker that dies when it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
import pytest

from earmark.api.clip_scorer import MAX_OUTSTANDING_WINDOWS, ClipScorer
from earmark.audio.types import Floats, Samples
from earmark.errors import RequestError, WorkerDied, WorkerError
from earmark.inference.batch import Batcher, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from tests.engines import FakeEngine

DEADLY = -1.0  # a sample under which the process dies


def mortal(batch: Sequence[Samples]) -> Floats:
    """Logits are the mean of a window and its opposite."""
    if any(samples[0] == DEADLY for samples in batch):
        raise WorkerDied("the model process died")
    if any(np.isnan(samples[0]) for samples in batch):
        raise WorkerError("the model raised")
    return np.array([[samples.mean(), -samples.mean()] for samples in batch], np.float32)


class Queue(Batcher):
    """A batcher that tells how many jobs have been put into it."""

    def __init__(self) -> None:
        super().__init__()
        self._came = asyncio.Semaphore(0)

    def add(self, job: Job) -> Job | None:
        self._came.release()
        return super().add(job)

    async def until_added(self, count: int) -> None:
        """Wait until `count` more jobs have been added."""
        for _ in range(count):
            await self._came.acquire()


class Bench:
    def __init__(self, timeout: float = 5.0) -> None:
        self.engine = FakeEngine(mortal)
        self.batcher = Queue()
        self.dispatcher = Dispatcher(self.batcher, self.engine)
        self.scorer = ClipScorer(self.dispatcher, timeout)

    def ask(self, *values: float, window: int = 4, alone: bool = False, min_samples: int = 0) -> asyncio.Task[Floats]:
        samples = np.repeat(np.array(values, np.float32), window)
        scores = self.scorer.scores(
            "m", samples, max_samples=window, min_samples=min_samples, scoring="none", alone=alone
        )
        return asyncio.create_task(scores)


def ignore(outcome: Outcome) -> None:
    """No job of these is answered."""


def play(scene: Callable[[Bench], Awaitable[None]], timeout: float = 5.0) -> None:
    async def bounded() -> None:
        bench = Bench(timeout)
        async with asyncio.timeout(10), bench.dispatcher:
            await scene(bench)

    asyncio.run(bounded())


def test_a_long_clip_is_the_mean_of_its_windows() -> None:
    async def scene(bench: Bench) -> None:
        assert (await bench.ask(1.0, 2.0, 6.0)).tolist() == [3.0, -3.0]

    play(scene)


def test_a_short_clip_is_padded_to_share_batches() -> None:
    async def scene(bench: Bench) -> None:
        assert (await bench.ask(1.0, window=4, min_samples=8)).tolist() == [0.5, -0.5]

    play(scene)


def test_64_windows_of_each_clip_wait_at_a_time() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        clips = [bench.ask(*range(1, 301)), bench.ask(*range(1, 151))]
        await bench.batcher.until_added(2 * MAX_OUTSTANDING_WINDOWS)
        assert bench.dispatcher.pending == 2 * MAX_OUTSTANDING_WINDOWS == 128
        bench.engine.release()
        assert [(await clip)[0] for clip in clips] == pytest.approx([150.5, 75.5])

    play(scene)


def test_of_a_batch_that_killed_the_process_only_the_guilty_clip_fails() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        first = bench.ask(9.0)
        await bench.engine.began()
        asked = [bench.ask(value) for value in (1.0, DEADLY, 3.0)]
        await bench.batcher.until_added(1 + 3)
        bench.engine.release()
        results = await asyncio.gather(first, *asked, return_exceptions=True)
        assert isinstance(results[2], WorkerDied)
        assert [result.tolist() for result in results if not isinstance(result, BaseException)] == [
            [9.0, -9.0],
            [1.0, -1.0],
            [3.0, -3.0],
        ]
        assert bench.engine.batches == [[9.0], [1.0, DEADLY, 3.0], [1.0], [DEADLY], [3.0]]
        assert set(bench.engine.attempts) == {1}

    play(scene)


def test_a_suspect_goes_alone() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        asked = [bench.ask(1.0), bench.ask(2.0), bench.ask(3.0, alone=True), bench.ask(4.0, 5.0, alone=True)]
        await bench.batcher.until_added(5)
        bench.engine.release()
        await asyncio.gather(*asked)
        assert bench.engine.batches == [[1.0, 2.0], [3.0], [4.0], [5.0]]

    play(scene)


def test_a_model_that_fails_is_told_to_all_of_its_batch() -> None:
    async def scene(bench: Bench) -> None:
        with pytest.raises(WorkerError):
            await bench.ask(1.0, float("nan"))
        assert bench.dispatcher.pending == 0

    play(scene)


def test_a_cancelled_clip_takes_its_waiting_windows_along() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        staying, leaving = bench.ask(7.0), bench.ask(*range(1, 40))
        await bench.batcher.until_added(1 + 39)
        await bench.engine.began()
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)
        assert len(bench.batcher) == 0
        bench.engine.release()
        assert (await staying).tolist() == [7.0, -7.0]
        await bench.dispatcher.drain()

    play(scene)


def test_a_clip_that_gets_no_answer_in_time_is_503() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        with pytest.raises(RequestError) as caught:
            await bench.ask(1.0)
        assert (caught.value.status, caught.value.retry_after) == (503, 5)

    play(scene, timeout=0.01)


def test_at_the_end_every_waiting_clip_is_refused() -> None:
    async def scene(bench: Bench) -> None:
        bench.engine.held = True
        asked = [bench.ask(1.0), bench.ask(*range(1, 200))]
        await bench.batcher.until_added(1 + MAX_OUTSTANDING_WINDOWS)
        bench.scorer.close()
        results = await asyncio.gather(*asked, bench.ask(2.0), return_exceptions=True)
        assert [getattr(result, "status", None) for result in results] == [503, 503, 503]

    play(scene)


def test_no_job_of_another_model_waits_for_one_that_is_loading() -> None:
    batcher = Batcher()
    jobs = [
        Job(model, np.zeros(4, np.float32), live, 1, ignore) for model in ("late", "there") for live in (True, False)
    ]
    for job in jobs:
        batcher.add(job)
    taken = [batcher.take(2, {"late"}) for _ in range(3)]
    assert [batch and batch.model for batch in taken] == ["there", "there", None]
    assert batcher.next_deadline({"late"}) is None
    assert len(batcher) == 2


def test_a_batch_of_clips_holds_no_more_than_a_live_window_can_wait_for() -> None:
    batcher = Batcher(max_batch=8, max_one_shot_samples=10)
    for live in (True, False):
        for number in range(8):
            batcher.add(Job("m", np.zeros(4, np.float32), live, number, ignore))
    sizes = [len(batch) for batch in (batcher.take(9) for _ in range(5)) if batch]
    assert sizes == [8, 2, 2, 2, 2]
    batcher.add(Job("m", np.zeros(400, np.float32), False, 1, ignore))
    assert len(batcher.take(9) or ()) == 1  # one always goes
