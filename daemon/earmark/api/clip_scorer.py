"""Clips on their way through the model: beside the live windows, behind them, and never in one batch with them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field, replace

import numpy as np

from earmark.api.long_clips import cut, padded
from earmark.audio.types import Floats, Samples
from earmark.errors import RequestError, WorkerDied, WorkerError
from earmark.inference.batch import Job
from earmark.inference.dispatch import Dispatcher, Drop
from earmark.inference.scores import Function, apply

AHEAD = 64  # windows of one clip that wait at the same time: two batches


@dataclass(slots=True, eq=False)
class ClipWindow:
    """A window of a clip: the tag of its job."""

    clip: object
    answer: asyncio.Future[Floats] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ClipScorer:
    """Puts clips to the dispatcher. On the event loop.

    Whoever made the dispatcher hands each one-shot job whose tag is a Piece to answered() or dropped().
    """

    def __init__(self, dispatcher: Dispatcher, patience: float) -> None:
        self._dispatcher = dispatcher
        self._patience = patience  # seconds that a clip waits for its next answer
        self._waiting: set[asyncio.Future[Floats]] = set()
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
        clip = object()
        windows = deque(cut(len(samples), window))
        count = len(windows)
        total: Floats | None = None
        waiting: set[asyncio.Future[Floats]] = set()
        try:
            while windows or waiting:
                while windows and len(waiting) < AHEAD:
                    start, end = windows.popleft()
                    waiting.add(self._submit(model, clip, padded(samples[start:end], least), alone))
                done, waiting = await asyncio.wait(waiting, timeout=self._patience, return_when=asyncio.FIRST_COMPLETED)
                if not done:
                    raise RequestError(503, "the model did not answer in time", retry_after=5)
                for answer in done:
                    self._waiting.discard(answer)
                    scores = apply(function, answer.result(), model)
                    total = scores if total is None else total + scores
        finally:
            self._forget(clip, waiting)
        assert total is not None  # cut() gives one window at least
        mean: Floats = total / np.float32(count)
        return mean

    def answered(self, job: Job, logits: Floats) -> None:
        """The job's row of logits."""
        piece = _piece(job)
        if not piece.answer.done():
            piece.answer.set_result(logits)

    def dropped(self, job: Job, drop: Drop) -> None:
        """There is no answer. A batch of several under which the process died is put again, one by one."""
        piece = _piece(job)
        if piece.answer.done():
            return
        if drop.died > 1 and not self._closed:
            self._dispatcher.submit(replace(job, alone=True))
        elif drop.died:
            piece.answer.set_exception(WorkerDied(drop.reason))
        else:
            piece.answer.set_exception(WorkerError(drop.reason))

    def _submit(self, model: str, clip: object, samples: Samples, alone: bool) -> asyncio.Future[Floats]:
        piece = ClipWindow(clip)
        self._waiting.add(piece.answer)
        self._dispatcher.submit(Job(model, samples, False, time.monotonic_ns(), piece, attempts=1, alone=alone))
        return piece.answer

    def _forget(self, clip: object, waiting: set[asyncio.Future[Floats]]) -> None:
        if waiting:
            self._dispatcher.discard(lambda job: isinstance(job.tag, ClipWindow) and job.tag.clip is clip)
        for answer in waiting:
            self._waiting.discard(answer)
            if not answer.cancel():
                answer.exception()  # else asyncio says that nobody looked at it


def _piece(job: Job) -> ClipWindow:
    assert isinstance(job.tag, ClipWindow)
    return job.tag


def _shutting_down() -> RequestError:
    return RequestError(503, "the daemon is shutting down", retry_after=5)
