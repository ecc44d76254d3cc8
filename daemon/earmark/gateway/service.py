"""A gateway put together: the feed, the hub, and the one port. It imports neither models nor sound."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.routing import BaseRoute

from earmark import __version__
from earmark.broadcast.hub import Hub, HubStats
from earmark.broadcast.publisher import rfc3339
from earmark.config.settings import Config, Gateway
from earmark.control.history_routes import History
from earmark.errors import EarmarkError, RequestError
from earmark.gateway.feed import FeedStats, StreamFeed
from earmark.gateway.kept import WAIT_SECONDS, StreamKept
from earmark.gateway.metrics import metrics_routes
from earmark.history.recent import Recent
from earmark.jetstream.login import nats_login
from earmark.log import BARE
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import ClassifierInfo, Hello, SourceInfo, Tick
from earmark.protocol.readiness import Need, Needs
from earmark.server.connection import Conversation
from earmark.server.handshake import Endpoint, Query
from earmark.server.routes import show_root
from earmark.server.server import Server, ServerStats, read_entry
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.supervision import systemd
from earmark.web.routes import page_routes

TICK_SECONDS = 5.0
RETRY_SECONDS = 2  # of a client that comes before the stream is known

log = logging.getLogger(__name__)


class GatewayInfo(msgspec.Struct, frozen=True):
    """What `/info` of a gateway shows."""

    version: str
    epoch: str
    seq: int
    sources: tuple[SourceInfo, ...]
    classifiers: tuple[ClassifierInfo, ...]
    gateway: FeedStats
    subscribers: HubStats
    connections: ServerStats


class Service:
    """The parts of a gateway and their order. On the event loop."""

    def __init__(self, settings: Config) -> None:
        gateway = settings.gateway or Gateway()
        self._stop = asyncio.Event()
        self._clock = asyncio.get_running_loop().time
        self._recent = Recent("", events=settings.server.recent)
        self._hub = Hub(settings.server.backlog, self._hello)
        self._feed = feed = StreamFeed(
            gateway, nats_login(gateway, "gateway"), self._recent, self._hub, settings.server.recent, self._clock
        )
        self._kept = StreamKept(feed, gateway.stream, self._recent, self._clock)
        self._server = Server(
            settings.server,
            {EVENTS: self._endpoint(settings.server.max_subscribers)},
            ready=self._needs,
            info=self._info,
            routes=self._routes(),
            on_refused=self._hub.count_refused,
        )

    @property
    def url(self) -> str:
        """Where it serves, once it runs."""
        return self._server.url

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    async def run(self) -> None:
        """Serve until a signal comes. Raises EarmarkError when the numbers of the stream begin anew."""
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, self._signalled, number)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._server)
            await stack.enter_async_context(self._feed)
            stack.push_async_callback(_end, asyncio.create_task(self._tick()))
            stack.push_async_callback(_end, stopping := asyncio.create_task(self._stop.wait()))
            address = self._server.url.replace("http", "ws", 1)
            log.info("open %s/", self._server.url, extra=BARE)
            log.info("earmarkd %s: subscribe at %s%s", __version__, address, EVENTS, extra=BARE)
            systemd.notify("READY=1")
            await asyncio.wait((stopping, self._feed.ended), return_when=asyncio.FIRST_COMPLETED)
            self._server.drain()
            systemd.notify("STOPPING=1")
        if self._feed.ended.done():
            raise EarmarkError(f"{self._feed.ended.result()}; start the gateway again")

    def _endpoint(self, most: int) -> Endpoint:
        replayer = Replayer(self._hub, self._kept, self._recent, timeout=WAIT_SECONDS)
        endpoint = events_endpoint(self._hub, replayer, most)
        accept = endpoint.accept

        def once_known(query: Query) -> Conversation:
            if not self._feed.is_known:
                error = f"the gateway has no events yet: {self._feed.trouble}"
                raise RequestError(503, error, retry_after=RETRY_SECONDS)
            return accept(query)

        return replace(endpoint, accept=once_known)

    def _routes(self) -> list[BaseRoute]:
        return [
            *page_routes(show_root),
            *History(self._kept, self._hello).routes(),
            *metrics_routes(self._feed.stats, self._hub.stats),
        ]

    def _hello(self) -> Hello:
        nodes, oldest = self._feed.nodes, min(self._kept.oldest, self._recent.oldest)
        sources = nodes.sources(self._clock())
        return Hello(__version__, self._recent.epoch, self._recent.newest, oldest, sources, nodes.classifiers())

    def _needs(self) -> Needs:
        missing = {"nats": trouble} if (trouble := self._feed.trouble) else {}
        if self._stop.is_set():
            missing["server"] = "shutting down"
        return {"listening": Need(not missing, missing)}

    def _info(self) -> GatewayInfo:
        hello = self._hello()
        return GatewayInfo(
            __version__,
            hello.epoch,
            hello.seq,
            hello.sources,
            hello.classifiers,
            self._feed.stats(),
            self._hub.stats(),
            self._server.stats(),
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(TICK_SECONDS)
            self._hub.broadcast(Tick(self._recent.newest, rfc3339(datetime.now(UTC))))

    def _signalled(self, number: signal.Signals) -> None:
        if self._stop.is_set():
            os._exit(128 + number)  # at a second signal, at once
        self._stop.set()


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])


def check(settings: Config) -> str:
    """Return what would run. Raises EarmarkError with what is wrong; it connects to nothing."""
    gateway = settings.gateway or Gateway()
    read_entry(settings.server)
    login = nats_login(gateway, "gateway")
    return f"gateway: NATS, {login.address}, stream {gateway.stream}; serves at {settings.server.listen}"


def run(settings: Config, *, main: Callable[..., None] = asyncio.run) -> None:
    """Run a gateway until it ends. Raises EarmarkError with what to tell a person."""

    async def serve() -> None:
        await Service(settings).run()

    main(serve())
