"""The queue of one route: how many actions run at the same time, how many wait, and which one is dropped."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Literal

from earmark.protocol.events import Label
from earmark_client.routing.settings import Route


@dataclass(frozen=True, slots=True)
class Job:
    """An event that a route took, with the id by which it is claimed, `EPOCH:SEQ`, and the event's own JSON."""

    route: Route
    event_id: str
    event: Label
    text: str


class RouteQueue:
    """The jobs of one route in their order. The caller runs what take() gives it, and calls done() for each."""

    def __init__(self, at_once: int, room: int, when_full: Literal["oldest", "newest"]) -> None:
        self._waiting: deque[Job] = deque()
        self._running = 0
        self.limit(at_once, room, when_full)

    def limit(self, at_once: int, room: int, when_full: Literal["oldest", "newest"]) -> None:
        """Set how many may run at once, how many may wait besides, and which one gives way to a further one."""
        self._at_once, self._room, self._when_full = at_once, room, when_full

    def put(self, job: Job) -> Job | None:
        """Add a job. Returns the one that found no room, if the queue is full."""
        self._waiting.append(job)
        if len(self._waiting) <= self._room + max(0, self._at_once - self._running):
            return None
        return self._waiting.popleft() if self._when_full == "oldest" else self._waiting.pop()

    def take(self) -> Job | None:
        """Return the job that is to begin now, if there is one and its place is free."""
        if not self._waiting or self._running >= self._at_once:
            return None
        self._running += 1
        return self._waiting.popleft()

    def done(self) -> None:
        """Note that a job has ended."""
        self._running -= 1

    def clear(self) -> list[Job]:
        """Return what waits, and forget it."""
        waiting = list(self._waiting)
        self._waiting.clear()
        return waiting

    @property
    def idle(self) -> bool:
        """Whether nothing runs or waits."""
        return not self._waiting and not self._running
