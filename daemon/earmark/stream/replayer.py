"""The turns in which subscribers are replayed, so that the live stream and the others never wait for long."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from earmark.broadcast.hub import Hub
from earmark.broadcast.known import Known
from earmark.broadcast.subscriber import Subscriber
from earmark.errors import EarmarkError
from earmark.history.kept import Kept
from earmark.history.position import Position, check_position
from earmark.history.recent import Recent
from earmark.stream.replay import STEP_EVENTS, Losses, Replay, Step
from earmark.stream.subscribe_request import SubscribeRequest

log = logging.getLogger(__name__)

WRITE_TIMEOUT_SECONDS = 3.0  # for events that are on their way to the disk
LOOK_AGAIN_SECONDS = 0.05


class Replayer:
    """Replays the past to subscribers of `hub`, one step of one of them in each turn of the event loop.

    `kept` has the past, and `recent` the newest part of it; `utc` is the wall clock in Unix time. `timeout` is how
    long a replay waits, in seconds, for events that `kept` cannot read yet and `recent` has forgotten. `losses` are
    those of each Replay; where there are some, what `kept` does not find is not waited for.
    """

    def __init__(
        self,
        hub: Hub,
        kept: Kept,
        recent: Recent,
        *,
        utc: Callable[[], float] = time.time,
        timeout: float = WRITE_TIMEOUT_SECONDS,
        losses: Callable[[], Losses | None] = lambda: None,
    ) -> None:
        self._hub = hub
        self._kept = kept
        self._recent = recent
        self._utc = utc
        self._timeout = timeout
        self._losses = losses
        self._turn = asyncio.Lock()

    def checked(self, request: SubscribeRequest) -> SubscribeRequest:
        """Return the request. Raises SubscriptionError for a name that hello does not tell and a future position."""
        Known.of(self._hub.hello()).check(request.filter)
        if request.since is not None:
            check_position(request.since, self._kept)
        return request

    async def replay(self, subscriber: Subscriber, since: Position, drained: Callable[[], Awaitable[None]]) -> None:
        """Send what came after `since`, and then let the subscriber into the live stream. Hub.hold() was called.

        `drained` waits until the transport has room. Ends when the subscriber is live or has left the hub, which the
        hub sees to for one that reads nothing.
        """
        loop, losses = asyncio.get_running_loop(), self._losses()
        replay = Replay(subscriber, since, self._kept, self._recent, losses)
        waiting: float | None = None  # since when nothing could be read
        while True:
            async with self._turn:
                await asyncio.sleep(0)  # everything else has its turn between two steps
                if not self._hub.is_held(subscriber):
                    return
                sent = replay.sent
                step = replay.step(loop.time(), self._utc())
                self._hub.count_replayed(replay.sent - sent)
                if step is Step.LIVE:
                    self._hub.go_live(subscriber)
                    return
            if step is Step.FULL:
                await drained()
            elif step is Step.READ:
                if await self._read(replay, waits=losses is None):
                    waiting = None
                    continue
                waiting = waiting or loop.time()
                if loop.time() - waiting < self._timeout:
                    await asyncio.sleep(LOOK_AGAIN_SECONDS)
                elif self._hub.is_held(subscriber):
                    replay.skip()

    async def _read(self, replay: Replay, waits: bool) -> bool:
        """Give the replay its next page. Returns whether it can go on."""
        newest = self._kept.newest
        try:
            events = await self._kept.after(replay.position, STEP_EVENTS)
        except EarmarkError as error:
            log.warning("a replay cannot read what is kept: %s", error)
            return False
        replay.take(events)
        if not events and not waits:
            replay.found_nothing(newest)
        return bool(events) or not waits
