"""Between the batcher and the worker: whoever is free takes what waits."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Literal, Protocol, Self

from earmark.audio.types import SECOND, Floats, Nanoseconds, Samples
from earmark.errors import EarmarkError, WorkerDied
from earmark.inference.batch import Batch, Batcher, Job
from earmark.inference.supervisor import EngineState

logger = logging.getLogger(__name__)


class Classifies(Protocol):
    """What a Dispatcher needs of a Worker."""

    @property
    def state(self) -> EngineState: ...
    async def changed(self) -> None: ...
    async def classify(self, model: str, batch: Sequence[Samples], attempts: int) -> Floats: ...


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a job has no answer: too old or pushed out because there was too much, or the worker could not.

    `died` is how many jobs were in the batch under which the process died or hung; 0 where it did not.
    """

    cause: Literal["overload", "worker"]
    reason: str
    died: int = 0


class Dispatcher:
    """Gives the worker the next batch as soon as it is free. All of it on the event loop.

    Every job that is submitted and not discarded comes back exactly once, through `answered` with its row of logits or
    through `dropped`; what these raise is logged and harms nobody else. Entered, it runs one task; left, it forgets
    what is queued and in flight without a word: drain() before that, with whatever patience there is.
    `depth` is the number of batches that may be with the worker: 2 keeps a GPU busy while results travel.
    """

    def __init__(
        self,
        batcher: Batcher,
        worker: Classifies,
        *,
        answered: Callable[[Job, Floats], None],
        dropped: Callable[[Job, Drop], None],
        clock: Callable[[], Nanoseconds] = time.monotonic_ns,
        depth: int = 1,
    ) -> None:
        self._batcher = batcher
        self._worker = worker
        self._answered = answered
        self._dropped = dropped
        self._clock = clock
        self._depth = depth
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._in_flight: dict[asyncio.Task[None], Batch] = {}
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._run(), name="dispatch"),
            asyncio.create_task(self._listen(), name="dispatch: worker"),
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
        """Jobs that wait or are with the worker."""
        return len(self._batcher) + sum(len(batch) for batch in self._in_flight.values())

    def has_room(self) -> bool:
        """Whether another one-shot job should be submitted."""
        return self._batcher.has_room()

    def submit(self, job: Job) -> None:
        """Queue a job. A live one may push out the oldest live one, which is told at once."""
        self._idle.clear()
        pushed_out = self._batcher.add(job)
        if pushed_out:
            self._drop([pushed_out], self._overload("the queue was full"))
        self._wake.set()

    def discard(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """Forget the queued jobs that `predicate` is true of, and return them; they do not come back otherwise."""
        jobs = self._batcher.discard(predicate)
        self._rest()
        return jobs

    async def drain(self) -> None:
        """Returns when nothing is pending any more."""
        await self._idle.wait()

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception:
                logger.exception("The dispatcher met an error and goes on")
                await asyncio.sleep(0.1)  # whatever it is, it must not spin

    async def _listen(self) -> None:
        while True:
            await self._worker.changed()
            self._wake.set()

    async def _step(self) -> None:
        """Drop what is too old, start what can start, then wait for news or for the next thing to fall due."""
        self._wake.clear()
        now = self._clock()
        self._drop(self._batcher.stale(now), self._overload("older than worker.max_age"))
        due = self._batcher.next_expiry()
        state = self._worker.state
        if len(self._in_flight) < self._depth and state.phase == "ready":
            batch = self._batcher.take(now, state.loading)
            if batch:
                self._start(batch)
                return
            due = min((at for at in (due, self._batcher.next_deadline(state.loading)) if at is not None), default=None)
        self._rest()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if due is None else max(0, due - now) / SECOND):
                await self._wake.wait()

    def _start(self, batch: Batch) -> None:
        task = asyncio.create_task(self._classify(batch), name=f"classify {batch.model}")
        self._in_flight[task] = batch
        task.add_done_callback(self._end)

    async def _classify(self, batch: Batch) -> None:
        try:
            logits = await self._worker.classify(batch.model, [job.samples for job in batch.jobs], batch.attempts)
        except WorkerDied as error:
            self._drop(batch.jobs, Drop("worker", str(error), died=len(batch)))
        except EarmarkError as error:
            self._drop(batch.jobs, Drop("worker", str(error)))
        except Exception as error:
            logger.exception("A batch for %s was lost", batch.model)
            self._drop(batch.jobs, Drop("worker", f"{batch.model}: {error!r}"))
        else:
            for job, row in zip(batch.jobs, logits, strict=True):
                self._tell(partial(self._answered, job, row))

    def _end(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        self._wake.set()
        self._rest()

    def _rest(self) -> None:
        if not self.pending:
            self._idle.set()

    def _overload(self, reason: str) -> Drop:
        """Jobs pile up because there are too many, or because the worker is away."""
        state = self._worker.state
        return Drop("overload", reason) if state.phase == "ready" else Drop("worker", state.detail or reason)

    def _drop(self, jobs: Sequence[Job], drop: Drop) -> None:
        for job in jobs:
            self._tell(partial(self._dropped, job, drop))

    def _tell(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            logger.exception("Whoever takes the answers raised")
