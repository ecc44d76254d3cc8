"""Clips on their way through the model: behind the live windows, and never in one batch with them."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import replace
from functools import partial

import numpy as np

from earmark.audio.types import Floats, Samples
from earmark.checkpoints.checkpoint import Scoring
from earmark.errors import RequestError, WorkerDied, WorkerError
from earmark.inference.batch import Drop, Job, Outcome
from earmark.inference.dispatch import Dispatcher
from earmark.inference.long_clips import cut, padded
from earmark.inference.scores import apply
from earmark.zeroshot.head import Head

MAX_OUTSTANDING_WINDOWS = 64  # of one clip: two batches

Outcomes = asyncio.Queue[tuple[int, Outcome] | None]
"""The numbers of a clip's windows with their outcomes; None: the daemon shuts down."""


class ClipScorer:
    """Puts the windows of clips to the dispatcher and takes the mean of their scores. On the event loop.

    The one-shot jobs of the dispatcher are bounded by this: MAX_OUTSTANDING_WINDOWS for each clip, and as many clips
    at the same time as `http.queue` allows.
    """

    def __init__(self, dispatcher: Dispatcher, timeout: float) -> None:
        self._dispatcher = dispatcher
        self._timeout = timeout  # seconds that a clip waits for its next outcome
        self._clips: set[Outcomes] = set()
        self._closed = False

    def close(self) -> None:
        """Refuse every clip that waits, now or later, with 503: no outcomes come any more."""
        self._closed = True
        for outcomes in self._clips:
            outcomes.put_nowait(None)

    async def scores(
        self,
        model: str,
        samples: Samples,
        *,
        max_samples: int,
        min_samples: int,
        scoring: Scoring,
        alone: bool,
        head: Head | None = None,
    ) -> Floats:
        """Return the scores of a clip: the mean over its windows of at most `max_samples` samples.

        Windows of less than `min_samples` are padded. Where the model takes labels, a `head` makes scores of what it
        answers. Not more than MAX_OUTSTANDING_WINDOWS wait at a time, each dated by its own submission, so that an hour
        of sound does not keep the next client waiting for its end. Cancelled, it leaves the queue. Raises WorkerDied if
        the model process dies under the clip with no other clip in the batch, WorkerError if the model fails, and
        RequestError 503 if no outcome comes.
        """
        windows = deque(enumerate(cut(len(samples), max_samples)))
        count = len(windows)
        total: Floats = np.zeros(1, np.float32)
        outcomes: Outcomes = asyncio.Queue()  # holds no more than the outstanding windows
        outstanding: dict[int, Job] = {}
        self._clips.add(outcomes)
        try:
            while windows or outstanding:
                while windows and len(outstanding) < MAX_OUTSTANDING_WINDOWS:
                    number, (start, end) = windows.popleft()
                    window = padded(samples[start:end], min_samples)
                    reply = partial(_note, outcomes, number)
                    job = Job(model, window, False, time.monotonic_ns(), reply, attempts=1, alone=alone)
                    self._submit(number, job, outstanding)
                number, outcome = await self._next(outcomes)
                job = outstanding.pop(number)
                if not isinstance(outcome, Drop):
                    scores = apply(scoring, outcome, model)
                    total = total + (scores if head is None else head.scores(scores))
                elif outcome.died > 1:  # perhaps another clip of the batch killed the process
                    self._submit(number, replace(job, alone=True), outstanding)
                else:
                    raise WorkerDied(outcome.reason) if outcome.died else WorkerError(outcome.reason)
        finally:
            self._clips.discard(outcomes)
            if outstanding:
                jobs = set(outstanding.values())
                self._dispatcher.discard(lambda job: job in jobs)
        mean: Floats = total / np.float32(count)
        return mean

    def _submit(self, number: int, job: Job, outstanding: dict[int, Job]) -> None:
        if self._closed:
            raise _shutting_down()
        outstanding[number] = job
        self._dispatcher.submit(job)

    async def _next(self, outcomes: Outcomes) -> tuple[int, Outcome]:
        """Wait for the next outcome. Raises RequestError 503 if none comes in time or the daemon shuts down."""
        try:
            async with asyncio.timeout(self._timeout):
                found = await outcomes.get()
        except TimeoutError:
            raise RequestError(503, "the model did not answer in time", retry_after=5) from None
        if found is None:
            raise _shutting_down()
        return found


def _note(outcomes: Outcomes, number: int, outcome: Outcome) -> None:
    outcomes.put_nowait((number, outcome))


def _shutting_down() -> RequestError:
    return RequestError(503, "the daemon is shutting down", retry_after=5)
