"""Takes batches from the batcher to the engine, and outcomes back to their jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Container, Sequence
from types import TracebackType
from typing import Self

import msgspec

from earmark.audio.types import SECOND, Nanoseconds
from earmark.errors import EarmarkError, WorkerDied, WorkerError
from earmark.histogram import Histogram, HistogramCounts
from earmark.inference.batch import Batch, Batcher, Drop, Job, Outcome
from earmark.inference.engine import Engine

logger = logging.getLogger(__name__)


BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128)  # windows
INFERENCE_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)  # seconds


class DispatcherStats(msgspec.Struct, frozen=True):
    """Windows since the start, of sources and of clips. `in_flight` ones are with the engine now.

    `oldest` is the age in seconds of the window that waits longest, 0 if none does. `batches` is the distribution of
    the windows in a batch, and `inference` that of the seconds for which a batch was with the engine, by model.
    """

    queued: int
    classified: int
    stale: int
    pushed_out: int
    in_flight: int
    oldest: float
    batches: HistogramCounts
    inference: dict[str, HistogramCounts]


class Dispatcher:
    """Gives the engine the next batch as soon as it is free. On the event loop.

    Every job that is submitted and not discarded has its reply() called exactly once, with its row of logits or with
    a Drop; an exception that a reply raises is logged and affects no other job. Entered, it runs two tasks; left, it
    forgets the jobs that are queued or in flight without replying to them: call drain() before that.

    `depth` is the number of batches that may be with the engine. A second one is sent only if it is a full batch of
    live windows: it could not grow, and nothing could overtake it, so no window waits longer because of it.
    An engine that works on several batches at once is given up to `parallel()` without that condition.
    """

    def __init__(
        self,
        batcher: Batcher,
        engine: Engine,
        *,
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        depth: int = 1,
        parallel: Callable[[], int] = lambda: 1,
    ) -> None:
        self._batcher = batcher
        self._engine = engine
        self._clock = clock
        self._depth = depth
        self._parallel = parallel
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight: dict[asyncio.Task[None], Batch] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._is_away = False  # the engine, when it was last looked at
        self._batches = Histogram(BATCH_BOUNDS)
        self._inference: dict[str, Histogram] = {}  # by model
        self._back: Nanoseconds = 0  # when it was ready again after it had been away

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._run(), name="dispatch"),
            asyncio.create_task(self._follow(), name="dispatch: engine"),
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [*self._tasks, *self._in_flight]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def pending(self) -> int:
        """Jobs that wait or are with the engine."""
        return len(self._batcher) + self._count_in_flight()

    def stats(self) -> DispatcherStats:
        """Return the counters as they are now. `classified` counts what the engine was given."""
        batcher = self._batcher
        oldest = batcher.oldest
        return DispatcherStats(
            len(batcher),
            batcher.taken,
            batcher.went_stale,
            batcher.pushed_out,
            self._count_in_flight(),
            0.0 if oldest is None else round((self._clock() - oldest) / SECOND, 3),
            self._batches.counts(),
            {model: seconds.counts() for model, seconds in self._inference.items()},
        )

    def submit(self, job: Job) -> None:
        """Queue a job. A live one may push out the oldest live one, which is dropped at once."""
        self._idle.clear()
        pushed_out = self._batcher.add(job)
        if pushed_out:
            self._drop_late([pushed_out], "the queue was full")
        self._wake.set()

    def discard(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """Forget the queued jobs that `predicate` is true of, and return them. Their reply() is not called."""
        jobs = self._batcher.discard(predicate)
        self._rest()
        return jobs

    async def drain(self) -> None:
        """Wait until no job is pending."""
        await self._idle.wait()

    def _count_in_flight(self) -> int:
        return sum(len(batch) for batch in self._in_flight.values())

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:
                logger.exception("The dispatcher met an error and goes on")
                await asyncio.sleep(0.1)  # so that an error that stays does not make the loop spin

    async def _follow(self) -> None:
        while True:
            await self._engine.changed()
            self._wake.set()

    async def _step(self) -> None:
        """Drop stale jobs, start the next batch if it can start, else wait until that may have changed."""
        self._wake.clear()
        now = self._clock()
        self._note_absence(now)
        self._drop_late(self._batcher.stale(now), "older than worker.max_age")
        due = self._batcher.next_expiry()
        state = self._engine.state
        if state.phase == "ready":
            batch = self._next_batch(now, state.loading)
            if batch:
                self._start(batch)
                return
            if len(self._in_flight) < self._parallel():
                deadline = self._batcher.next_deadline(state.loading)
                due = min((at for at in (due, deadline) if at is not None), default=None)
        self._rest()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0, due - now) / SECOND):
                await self._wake.wait()

    def _next_batch(self, now: Nanoseconds, loading: Container[str]) -> Batch | None:
        if len(self._in_flight) < self._parallel():
            return self._batcher.take(now, loading)
        if len(self._in_flight) < self._depth:
            return self._batcher.take_full(loading)
        return None

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._classify(batch), name=f"classify {batch.model}")
        self._in_flight[task] = batch
        task.add_done_callback(self._end)

    async def _classify(self, batch: Batch) -> None:
        began = self._clock()
        self._batches.observe(len(batch))
        try:
            logits = await self._engine.classify(batch.model, [job.samples for job in batch.jobs], batch.attempts)
            if len(logits) != len(batch):
                raise WorkerError(f"{batch.model}: {len(batch)} windows were answered with {len(logits)} rows")
        except WorkerDied as error:
            self._drop(batch.jobs, Drop("worker", str(error), died=len(batch)))
        except EarmarkError as error:
            self._drop(batch.jobs, Drop("worker", str(error)))
        except Exception as error:
            logger.exception("A batch for %s was lost", batch.model)
            self._drop(batch.jobs, Drop("worker", f"{batch.model}: {error!r}"))
        else:
            seconds = self._inference.get(batch.model) or self._inference.setdefault(
                batch.model, Histogram(INFERENCE_BOUNDS)
            )
            seconds.observe((self._clock() - began) / SECOND)
            for job, row in zip(batch.jobs, logits, strict=True):
                _reply(job, row)

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._wake.set()
        self._rest()

    def _rest(self) -> None:
        if not self.pending:
            self._idle.set()

    def _note_absence(self, now: Nanoseconds) -> None:
        """Note when the engine has come back: what was captured before waited for it, and not behind too much work."""
        if self._engine.state.phase != "ready":
            self._is_away = True
        elif self._is_away:
            self._is_away, self._back = False, now

    def _drop_late(self, jobs: Sequence[Job], reason: str) -> None:
        """Drop jobs that piled up because there were too many, or because the engine was away."""
        state = self._engine.state
        for job in jobs:
            if state.phase == "ready" and job.captured >= self._back:
                self._drop([job], Drop("overload", reason))
            else:
                self._drop([job], Drop("worker", state.detail or "the model process was away"))

    def _drop(self, jobs: Sequence[Job], drop: Drop) -> None:
        for job in jobs:
            _reply(job, drop)


def _reply(job: Job, outcome: Outcome) -> None:
    try:
        job.reply(outcome)
    except Exception:
        logger.exception("A reply to a job for %s failed", job.model)
