"""Natural batching: what gathers while the model is busy leaves together."""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable, Container
from dataclasses import dataclass

from earmark.audio.types import SECOND, Nanoseconds, Samples

MS = 1_000_000
BULK = 2**19  # samples: 32 windows of a second at 16 kHz, or one of half a minute


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One stretch of sound for one model.

    `captured` is the monotonic time of its last sample, or of the request's arrival. Live jobs age and go first;
    the others wait for ever. `tag` is the caller's own: a Window, an HTTP request.
    `attempts` is how often the model process may die under it; a job that is suspected to kill it goes `alone`.
    """

    model: str
    samples: Samples
    live: bool
    captured: Nanoseconds
    tag: object
    attempts: int = 2
    alone: bool = False


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
"""A model, a length in samples, attempts, and for who must be alone something of its own: what may share a batch."""


class Queues:
    """Jobs in one queue per key, each sorted by `captured`; arrival decides where that is equal."""

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

    def oldest(self, full: int = 1, without: Container[str] = ()) -> Key | None:
        """The key with the oldest job, among those that hold at least `full`, of all models but those `without`.

        Looks at one job per key.
        """
        keys = [key for key, queue in self._queues.items() if len(queue) >= full and key[0] not in without]
        return min(keys, key=lambda key: self._queues[key][0].captured, default=None)

    def first(self, key: Key) -> Job:
        return self._queues[key][0]

    def pop(self, key: Key, most: int = 1) -> tuple[Job, ...]:
        """Up to `most` of the oldest jobs of `key`."""
        queue = self._queues[key]
        jobs = tuple(queue.popleft() for _ in range(min(most, len(queue))))
        self._size -= len(jobs)
        if not queue:
            del self._queues[key]
        return jobs

    def remove(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """Everything that `predicate` is true of. Scans all jobs."""
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
        """Everything captured before `limit`, removed. Looks at what it removes and one job more per key."""
        removed: list[Job] = []
        for key, queue in list(self._queues.items()):
            count = 0
            while count < len(queue) and queue[count].captured < limit:
                count += 1
            if count:
                removed += self.pop(key, count)
        return removed


class Batcher:
    """Gathers jobs of equal model and length for the worker.

    The caller owns the clock and the worker: it calls take() whenever the worker is free, and stale() before. Without
    `max_wait_ms` a job leaves as soon as the worker is free, and batches form only of what came while it was busy.

    Live jobs always go before one-shot jobs, and never in one batch with them, so that a clip that kills the worker
    takes no live window along. One-shot jobs therefore wait for as long as live sound alone keeps the worker busy:
    they are never dropped here, and their callers bound their number with has_room() and their patience with discard().
    A batch of theirs holds no more than `bulk` samples, or one job: a live window that comes meanwhile waits for it.

    `without` names models whose jobs must wait, because they are not loaded yet.
    """

    def __init__(
        self,
        *,
        max_batch: int = 32,
        queue: int = 1024,
        max_age: float = 2.0,
        max_wait_ms: int = 0,
        bulk: int = BULK,
    ) -> None:
        self.max_batch = max_batch
        self.bulk = bulk
        self.queue = queue  # live jobs at most, and one-shot jobs before has_room() says no
        self.max_age: Nanoseconds = round(max_age * SECOND)
        self.max_wait: Nanoseconds = max_wait_ms * MS
        self.added = 0  # added == taken + pushed_out + went_stale + discarded + len(self), always
        self.taken = 0
        self.pushed_out = 0
        self.went_stale = 0
        self.discarded = 0
        self._live = Queues()
        self._one_shot = Queues()

    def __len__(self) -> int:
        return len(self._live) + len(self._one_shot)

    @property
    def queued_live(self) -> int:
        return len(self._live)

    def has_room(self) -> bool:
        """Whether another one-shot job should be taken on."""
        return len(self._one_shot) < self.queue

    def add(self, job: Job) -> Job | None:
        """Queue `job`. The oldest live job that it pushed out, if any: that may be `job` itself."""
        self.added += 1
        if not job.live:
            self._one_shot.add(job)
            return None
        self._live.add(job)
        if len(self._live) <= self.queue:
            return None
        oldest = self._live.oldest()
        assert oldest is not None  # the queues holds at least `job`
        self.pushed_out += 1
        return self._live.pop(oldest)[0]

    def take(self, now: Nanoseconds, without: Container[str] = ()) -> Batch | None:
        """The next batch, or None where nothing waits or everything is held for company until next_deadline()."""
        for queues in (self._live, self._one_shot):
            key = self._due(queues, now, without)
            if key is not None:
                jobs = queues.pop(key, self._most(queues, key))
                self.taken += len(jobs)
                return Batch(key[0], jobs)
        return None

    def next_deadline(self, without: Container[str] = ()) -> Nanoseconds | None:
        """When the oldest job has waited for `max_wait_ms`: take() gives a batch from then on. None when empty."""
        keys = [(queues, queues.oldest(without=without)) for queues in (self._live, self._one_shot)]
        return min((queues.first(key).captured + self.max_wait for queues, key in keys if key), default=None)

    def next_expiry(self) -> Nanoseconds | None:
        """When the oldest live job becomes stale. None without one."""
        key = self._live.oldest()
        return None if key is None else self._live.first(key).captured + self.max_age + 1

    def stale(self, now: Nanoseconds) -> list[Job]:
        """The live jobs captured more than `max_age` ago, removed: late truth is no truth in a live stream."""
        jobs = self._live.older_than(now - self.max_age)
        self.went_stale += len(jobs)
        return jobs

    def discard(self, predicate: Callable[[Job], bool]) -> list[Job]:
        """The jobs that nobody wants any more (a source that went away, a client that hung up), removed."""
        jobs = self._live.remove(predicate) + self._one_shot.remove(predicate)
        self.discarded += len(jobs)
        return jobs

    def _due(self, queues: Queues, now: Nanoseconds, without: Container[str]) -> Key | None:
        oldest = queues.oldest(without=without)
        if self.max_wait and oldest is not None and queues.first(oldest).captured + self.max_wait > now:
            # nobody has waited long enough, but a full batch never waits
            return queues.oldest(full=self.max_batch, without=without)
        return oldest

    def _most(self, queues: Queues, key: Key) -> int:
        if queues is self._live:
            return self.max_batch
        return max(1, min(self.max_batch, self.bulk // max(1, key[1])))


def _captured(job: Job) -> Nanoseconds:
    return job.captured
