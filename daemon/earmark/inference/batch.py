"""Natural batching: the jobs that gather while the engine is busy leave together as one batch."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Literal

from earmark.audio.types import SECOND, Floats, Nanoseconds, Samples

MS = 1_000_000
ATTEMPTS = 2  # how many model processes a batch may see die before it is given up
MAX_ONE_SHOT_SAMPLES = 2**19  # in a batch: 32 windows of a second at 16 kHz, or one of half a minute


@dataclass(frozen=True, slots=True)
class Drop:
    """Why a job was given up: it was too old or pushed out because there was too much, or the engine failed on it.

    `died` is the number of jobs in the batch under which the model process died or hung; 0 if it did not.
    """

    cause: Literal["overload", "worker"]
    reason: str
    died: int = 0


Outcome = Floats | Drop
"""A job's row of logits, one per label, or why there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """Samples that one model shall classify.

    `captured` is the monotonic time of the last sample, or of the request's arrival. Live jobs grow stale and go
    first; one-shot jobs wait without limit. `reply` is called exactly once, unless the job is discarded, and must not
    raise. `attempts` is how many model processes may die under the job; a job that is suspected of killing them goes
    `alone`. A live job that looks a `second` time at a window goes after all other live ones.
    """

    model: str
    samples: Samples
    live: bool
    captured: Nanoseconds
    reply: Callable[[Outcome], None]
    attempts: int = ATTEMPTS
    alone: bool = False
    second: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Jobs of one model, one length and one number of attempts, oldest first, all live or all one-shot."""

    model: str
    jobs: tuple[Job, ...]

    @property
    def attempts(self) -> int:
        return self.jobs[0].attempts

    def __len__(self) -> int:
        return len(self.jobs)


Key = tuple[str, int, int, int]
"""Model, length in samples, attempts, and a number of its own for a job that goes alone.

Jobs with equal keys may share a batch.
"""


class Queues:
    """Jobs in one queue per key, each sorted by `captured`, and by arrival if that is equal."""

    def __init__(self) -> None:
        self._queues: dict[Key, deque[Job]] = {}
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, job: Job) -> None:
        key = (job.model, len(job.samples), job.attempts, id(job) if job.alone else 0)
        queue = self._queues.setdefault(key, deque())
        if queue and queue[-1].captured > job.captured:  # rare: two sources, and one was late
            queue.insert(bisect.bisect_right(queue, job.captured, key=_captured), job)
        else:
            queue.append(job)
        self._size += 1

    def oldest(self, min_jobs: int = 1, without: Container[str] = ()) -> Key | None:
        """Return the key with the oldest job, among those with `min_jobs` or more, leaving out models `without`.

        Looks at one job per key.
        """
        keys = [key for key, queue in self._queues.items() if len(queue) >= min_jobs and key[0] not in without]
        return min(keys, key=lambda key: self._queues[key][0].captured, default=None)

    def first(self, key: Key) -> Job:
        return self._queues[key][0]

    def count(self, key: Key) -> int:
        return len(self._queues[key])

    def pop(self, key: Key, max_jobs: int = 1) -> tuple[Job, ...]:
        """Remove and return up to `max_jobs` of the oldest jobs of `key`."""
        queue = self._queues[key]
        jobs = tuple(queue.popleft() for _ in range(min(max_jobs, len(queue))))
        self._size -= len(jobs)
        if not queue:
            del self._queues[key]
        return jobs

    def remove(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """Remove and return every job that `predicate` is true of. Scans all jobs."""
        removed: list[Job] = []
        for key, queue in list(self._queues.items()):
            chosen = [predicate(job) for job in queue]
            if any(chosen):
                removed += [job for job, gone in zip(queue, chosen, strict=True) if gone]
                kept = deque(job for job, gone in zip(queue, chosen, strict=True) if not gone)
                self._queues[key] = kept
                if not kept:
                    del self._queues[key]
        self._size -= len(removed)
        return removed

    def older_than(self, limit: Nanoseconds) -> list[Job]:
        """Remove and return every job captured before `limit`. Looks at those and at one job more per key."""
        removed: list[Job] = []
        for key, queue in list(self._queues.items()):
            count = 0
            while count < len(queue) and queue[count].captured < limit:
                count += 1
            if count:
                removed += self.pop(key, count)
        return removed


class Batcher:
    """Gather jobs of equal model and length into batches for the engine.

    The caller owns the clock and the engine: it calls stale() and then take() whenever the engine is free. Without
    `max_wait_ms` a job leaves as soon as the engine is free, and batches form only of jobs that came while it was busy.

    Live jobs always go before one-shot jobs, and never in one batch with them, so that a clip that kills the model
    process takes no live window along. One-shot jobs therefore wait for as long as live sound alone keeps the engine
    busy. They are never dropped here: the clip API bounds their number and the time that they wait.
    Second looks stand between both: they leave when no other live job waits, and grow stale and are pushed out as these
    do, but before them. So they take nothing from the first look at any window.
    A batch of one-shot jobs holds at most `max_one_shot_samples`, or one job, because a live window that comes
    meanwhile waits for it.

    `without` names models whose jobs must wait, because they are not loaded yet.
    """

    def __init__(
        self,
        *,
        max_batch: int = 32,
        queue: int = 1024,
        max_age: float = 2.0,
        max_wait_ms: int = 0,
        max_one_shot_samples: int = MAX_ONE_SHOT_SAMPLES,
    ) -> None:
        self.max_batch = max_batch
        self.max_one_shot_samples = max_one_shot_samples
        self.queue = queue  # the most live jobs that wait
        self.max_age: Nanoseconds = round(max_age * SECOND)
        self.max_wait: Nanoseconds = max_wait_ms * MS
        self.added = 0  # added == taken + pushed_out + went_stale + discarded + len(self), always
        self.taken = 0
        self.pushed_out = 0
        self.went_stale = 0
        self.discarded = 0
        self._live = Queues()
        self._second = Queues()
        self._one_shot = Queues()
        self._all = (self._live, self._second, self._one_shot)  # which goes first

    def __len__(self) -> int:
        return sum(map(len, self._all))

    @property
    def queued_live(self) -> int:
        return len(self._live) + len(self._second)

    @property
    def oldest(self) -> Nanoseconds | None:
        """When the job that waits longest was captured. None if no job waits."""
        found = [(queues, queues.oldest()) for queues in self._all]
        return min((queues.first(key).captured for queues, key in found if key), default=None)

    def add(self, job: Job) -> Job | None:
        """Queue `job`. Return the oldest live job if that was pushed out; it may be `job` itself.

        Second looks are pushed out first.
        """
        self.added += 1
        if not job.live:
            self._one_shot.add(job)
            return None
        (self._second if job.second else self._live).add(job)
        if self.queued_live <= self.queue:
            return None
        crowded = self._second if len(self._second) else self._live
        oldest = crowded.oldest()
        assert oldest is not None  # the queues hold at least `job`
        self.pushed_out += 1
        return crowded.pop(oldest)[0]

    def take(self, now: Nanoseconds, without: Container[str] = ()) -> Batch | None:
        """Remove and return the next batch. None if no job waits, or if all wait for more until next_deadline()."""
        for queues in self._all:
            key = self._due(queues, now, without)
            if key is not None:
                return self._pop(queues, key)
        return None

    def take_full(self, without: Container[str] = ()) -> Batch | None:
        """Remove and return the next batch if it is a full one of live jobs.

        Such a batch may be sent to an engine that is still busy: it would not grow if it waited, and nothing could
        overtake it.
        """
        key = self._live.oldest(without=without)
        if key is None or self._live.count(key) < self.max_batch:
            return None
        return self._pop(self._live, key)

    def next_deadline(self, without: Container[str] = ()) -> Nanoseconds | None:
        """Return when the oldest job will have waited for `max_wait_ms`; from then on take() gives a batch.

        None if no job waits.
        """
        keys = [(queues, queues.oldest(without=without)) for queues in self._all]
        return min((queues.first(key).captured + self.max_wait for queues, key in keys if key), default=None)

    def next_expiry(self) -> Nanoseconds | None:
        """Return when the oldest live job becomes stale. None if no live job waits."""
        found = [(queues, queues.oldest()) for queues in (self._live, self._second)]
        return min((queues.first(key).captured + self.max_age + 1 for queues, key in found if key), default=None)

    def stale(self, now: Nanoseconds) -> list[Job]:
        """Remove and return the live jobs captured more than `max_age` ago: nobody acts on a late label."""
        jobs = [job for queues in (self._live, self._second) for job in queues.older_than(now - self.max_age)]
        self.went_stale += len(jobs)
        return jobs

    def discard(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """Remove and return the jobs that `predicate` is true of: their source went away, or their client hung up."""
        jobs = [job for queues in self._all for job in queues.remove(predicate)]
        self.discarded += len(jobs)
        return jobs

    def _due(self, queues: Queues, now: Nanoseconds, without: Container[str]) -> Key | None:
        oldest = queues.oldest(without=without)
        if self.max_wait and oldest is not None and queues.first(oldest).captured + self.max_wait > now:
            # no job has waited long enough, but a full batch never waits
            return queues.oldest(min_jobs=self.max_batch, without=without)
        return oldest

    def _pop(self, queues: Queues, key: Key) -> Batch:
        jobs = queues.pop(key, self._max_jobs(queues, key))
        self.taken += len(jobs)
        return Batch(key[0], jobs)

    def _max_jobs(self, queues: Queues, key: Key) -> int:
        if queues is not self._one_shot:
            return self.max_batch
        return max(1, min(self.max_batch, self.max_one_shot_samples // max(1, key[1])))


def _captured(job: Job) -> Nanoseconds:
    return job.captured
