"""Clips on their way through the model: beside the live windows, behind them, and never in one batch with them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from functools import partial

import numpy as np

from earmark.api.long_clips import cut, padded
from earmark.audio.types import Floats, Nanoseconds, Samples
from earmark.errors import RequestError, WorkerDied, WorkerError
from earmark.inference.batch import Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.inference.scores import Function, apply

AHEAD = 64  # windows of one clip that wait at the same time: two batches


class ClipScorer:
    """Puts the windows of clips to the dispatcher and takes the mean of their scores. On the event loop."""

    def __init__(self, dispatcher: Dispatcher, patience: float) -> None:
        self._dispatcher = dispatcher
        self._patience = patience  # seconds that a clip waits for its next answer
        self._waiting: set[asyncio.Future[Outcome]] = set()
        self._closed = False

    def close(self) -> None:
        """No answers come any more: everybody who waits, now or later, is told 503."""
        self._closed = True
        for answer in self._waiting:
            if not answer.done():
                answer.set_exception(_shutting_down())

    async def scores(
        self, model: str, samples: Samples, *, window: int, least: int, function: Function, alone: bool
    ) -> Floats:
        """Scores of a clip, the mean over its windows of at most `window` samples; shorter ones are padded to `least`.

        Not more than AHEAD of them wait at a time, each dated by when it began to, so that an hour of sound does not
        keep the next client waiting for its end. Cancelled, it leaves the queue. Raises WorkerDied when the model
        process dies under it with no other clip in the batch, WorkerError where the model fails, and RequestError 503
        when no answer comes.
        """
        if self._closed:
            raise _shutting_down()
        windows = deque(cut(len(samples), window))
        count = len(windows)
        total: Floats | None = None
        waiting: dict[asyncio.Future[Outcome], Job] = {}
        try:
            while windows or waiting:
                while windows and len(waiting) < AHEAD:
                    start, end = windows.popleft()
                    self._submit(model, padded(samples[start:end], least), time.monotonic_ns(), alone, waiting)
                done, _ = await asyncio.wait(waiting, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise RequestError(503, "the model did not answer in time", retry_after=5)
                for future in done:
                    job = waiting.pop(future)
                    self._waiting.discard(future)
                    outcome = future.result()
                    if isinstance(outcome, Drop):
                        self._try_alone(job, outcome, waiting)
                        continue
                    scores = apply(function, outcome, model)
                    total = scores if total is None else total + scores
        finally:
            self._forget(waiting)
        assert total is not None  # cut() gives one window at least
        mean: Floats = total / np.float32(count)
        return mean

    def _submit(
        self,
        model: str,
        samples: Samples,
        captured: Nanoseconds,
        alone: bool,
        waiting: dict[asyncio.Future[Outcome], Job],
    ) -> None:
        future: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        job = Job(model, samples, False, captured, partial(_resolve, future), attempts=1, alone=alone)
        waiting[future] = job
        self._waiting.add(future)
        self._dispatcher.submit(job)

    def _try_alone(self, job: Job, drop: Drop, waiting: dict[asyncio.Future[Outcome], Job]) -> None:
        """Submit a window again, alone, if the process died under a batch of several; else raise WorkerError."""
        if self._closed:
            raise _shutting_down()
        if drop.died > 1:
            self._submit(job.model, job.samples, job.captured, True, waiting)
        else:
            raise WorkerDied(drop.reason) if drop.died else WorkerError(drop.reason)

    def _forget(self, waiting: dict[asyncio.Future[Outcome], Job]) -> None:
        """Take the windows that are left out of the queue, and ignore the outcomes of those that are on their way."""
        if waiting:
            jobs = set(waiting.values())
            self._dispatcher.discard(lambda job: job in jobs)
        for future in waiting:
            self._waiting.discard(future)
            if not future.cancel():
                future.exception()  # else asyncio says that it was never retrieved


def _resolve(future: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not future.done():  # it is if its clip was cancelled or the daemon shuts down
        future.set_result(outcome)


def _shutting_down() -> RequestError:
    return RequestError(503, "the daemon is shutting down", retry_after=5)
