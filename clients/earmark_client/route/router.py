"""The router: it decides on each event, claims what follows, and runs it, each route in its own order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from earmark.errors import EarmarkError
from earmark.protocol.events import Label, decode
from earmark_client.following.position import Position
from earmark_client.route.perform import Performer
from earmark_client.route.report import Report
from earmark_client.route.state import Claim, State
from earmark_client.routing.decide import Decider, Held, late
from earmark_client.routing.outcome import Outcome
from earmark_client.routing.route_queue import Job, RouteQueue
from earmark_client.routing.settings import Route, Routes

LAZY = 1.0  # seconds until the position of events that nothing follows from is written


class Router:
    """Takes events on the event loop, and runs their actions as tasks.

    An action is in the state before it begins. `failed` is set when the state cannot be written any more: the caller
    then ends the router, because it could not keep its promise. finish() ends it.
    """

    def __init__(
        self, routes: Routes, state: State, performer: Performer, report: Report, utc: Callable[[], datetime]
    ) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._state = state
        self._performer = performer
        self._report = report
        self._utc = utc
        self._decider = Decider(routes.route, state.memory)
        self._queues: dict[str, RouteQueue] = {}
        self._routes: dict[str, Route] = {}
        self._tasks: dict[asyncio.Task[None], float] = {}  # to the time at which they should have ended
        self._position = state.position
        self._later: asyncio.TimerHandle | None = None
        self._ending = False
        self._replace(routes)

    def resume(self) -> None:
        """Take up what a router that was killed has left."""
        for claim, begun in self._state.unfinished():
            route = self._routes.get(claim.route)
            event = _label(claim.text)
            if event is None or route is None:
                self._state.end(claim.route, claim.event, "gone")
            elif begun and not route.retry:
                self._state.end(claim.route, claim.event, "interrupted")
                detail = "it was running when the router died, and may have done its work"
                self._report.held(route, event, claim.event, "interrupted", detail)
            else:
                self._put(Job(route, claim.event, event, claim.text))

    def take(self, event: Label, text: str, position: Position) -> None:
        """Decide on an event and begin what follows from it. `position` is its own, and `text` its JSON."""
        self._position, event_id = position, str(position)
        try:
            found = self._decider.decide(event, self._utc())
        except ValueError:
            self._report.warned(f"event {event_id} has no time that can be read, so no route takes it")
            return
        claims = {
            each.route.name: Claim(each.route.name, event_id, text) for each in found if not isinstance(each, Held)
        }
        new = {claim.route for claim in self._write(list(claims.values()))} if claims else set()
        if not claims:
            self._write_later()
        for each in found:
            if isinstance(each, Held):
                self._report.held(each.route, event, event_id, each.why, each.detail)
            elif each.route.name in new:
                self._put(Job(each.route, event_id, event, text))

    def note(self, position: Position | None) -> None:
        """Note that there was nothing to decide up to `position`."""
        self._position = position
        self._write_later()

    def replace(self, routes: Routes, secrets: dict[str, str]) -> None:
        """Go on with other routes. What runs goes on as it began; what waits for a route that is gone is dropped."""
        self._performer.secrets = {**self._performer.secrets, **secrets}
        self._decider.replace(routes.route)
        self._replace(routes)

    async def finish(self, hurry: asyncio.Event) -> None:
        """Begin nothing more, wait for what runs until its timeout or `hurry`, and end what still runs then."""
        self._ending = True
        while self._tasks and not hurry.is_set():
            left = max(self._tasks.values()) - time.monotonic()
            if left <= 0:
                break
            waiting = asyncio.create_task(hurry.wait())
            await asyncio.wait([*self._tasks, waiting], timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            await asyncio.wait([waiting])
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(list(self._tasks))
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if not self.failed.done():
            self._write([])

    def _replace(self, routes: Routes) -> None:
        self._routes = {route.name: route for route in routes.route}
        for name in [name for name in self._queues if name not in self._routes]:
            for job in self._queues[name].clear():
                self._give_up(job, "gone", "its route is not in the routes file any more")
            if self._queues[name].idle:
                del self._queues[name]
        for route in routes.route:
            limits = (route.at_once, route.queue, route.when_full)
            if route.name in self._queues:
                self._queues[route.name].limit(*limits)
                self._pump(self._queues[route.name])
            else:
                self._queues[route.name] = RouteQueue(*limits)

    def _put(self, job: Job) -> None:
        queue = self._queues[job.route.name]
        dropped = queue.put(job)
        if dropped is not None:
            self._give_up(dropped, "full", f"{job.route.queue} events wait already")
        self._pump(queue)

    def _pump(self, queue: RouteQueue) -> None:
        """Begin what has its turn. A job ends its task by itself, and then calls this."""
        while not self._ending and not self.failed.done() and (job := queue.take()) is not None:
            if (held := late(job.route, job.event, self._utc())) is not None:
                queue.done()
                self._give_up(job, *held)
                continue
            try:
                self._state.begin(job.route.name, job.event_id)
            except EarmarkError as error:
                self._fail(error)
                return
            task = asyncio.create_task(self._act(queue, job))
            self._tasks[task] = time.monotonic() + job.route.timeout
            task.add_done_callback(self._tasks.pop)

    async def _act(self, queue: RouteQueue, job: Job) -> None:
        begun = time.monotonic()
        try:
            outcome, tries = await self._performer.perform(job)
        except Exception as error:  # whatever an event makes go wrong must not stop its route for ever
            outcome, tries = Outcome("failed", f"a fault of Earmark: {type(error).__name__}: {error}"), 1
        self._report.ran(job, outcome, time.monotonic() - begun, tries)
        if not (outcome.how == "stopped" and job.route.retry):  # else the next router does it
            self._end(job, outcome.how)
        queue.done()
        self._pump(queue)

    def _give_up(self, job: Job, why: str, detail: str) -> None:
        self._end(job, why)
        self._report.held(job.route, job.event, job.event_id, why, detail)

    def _end(self, job: Job, outcome: str) -> None:
        try:
            self._state.end(job.route.name, job.event_id, outcome)
        except EarmarkError as error:
            self._fail(error)

    def _write(self, claims: list[Claim]) -> list[Claim]:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        try:
            return self._state.note(self._position, self._decider.memory, claims)
        except EarmarkError as error:
            self._fail(error)
            return []

    def _write_later(self) -> None:
        if self._later is None and not self._ending:
            self._later = asyncio.get_running_loop().call_later(LAZY, self._write, [])

    def _fail(self, error: EarmarkError) -> None:
        if not self.failed.done():
            self.failed.set_exception(error)


def _label(text: str) -> Label | None:
    try:
        event = decode(text)
    except msgspec.DecodeError:
        return None
    return event if isinstance(event, Label) else None
