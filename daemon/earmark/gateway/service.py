"""A gateway put together: the feed, the hub, and the one port. It imports neither models nor sound."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from datetime import UTC, datetime

import msgspec
from starlette.routing import BaseRoute

from earmark import __version__
from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.broadcast.hub import Hub, HubStats
from earmark.broadcast.publisher import rfc3339
from earmark.config.brokers import Gateway
from earmark.config.settings import Config
from earmark.control.history_routes import History
from earmark.errors import RequestError
from earmark.gateway.elsewhere import elsewhere_routes
from earmark.gateway.feed import FeedStats, StreamFeed
from earmark.gateway.kept import WAIT_SECONDS, StreamKept
from earmark.gateway.metrics import metrics_routes
from earmark.gateway.reload import Reloader
from earmark.gateway.subscribers import Subscribers
from earmark.history.recent import Recent
from earmark.jetstream.login import nats_login
from earmark.log import BARE
from earmark.perimeter.certificate import Pair
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import ClassifierInfo, Hello, SourceInfo, Tick
from earmark.protocol.readiness import Need, Needs
from earmark.server.handshake import Endpoint
from earmark.server.routes import show_root
from earmark.server.server import Server, ServerStats, read_entry
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.supervision import ending, systemd
from earmark.supervision.hang_up import HangUps
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

    def __init__(
        self, settings: Config, read: Callable[[], Config] | None = None, hang_ups: HangUps | None = None
    ) -> None:
        gateway = settings.gateway or Gateway()
        self._stop = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._clock = self._loop.time
        self._hang_ups = hang_ups
        self._recent = Recent("", events=settings.server.recent)
        self._hub = Hub(settings.server.backlog, self._hello)
        self._subscribers = Subscribers()
        self._feed = feed = StreamFeed(
            gateway,
            nats_login(gateway, "gateway"),
            self._recent,
            self._hub,
            settings.server.recent,
            self._subscribers.come_again,
            self._clock,
        )
        self._kept = StreamKept(feed, self._recent, self._clock)
        audit = Audit()
        self._server = Server(
            settings.server,
            {EVENTS: self._endpoint(settings.server.max_subscribers)},
            ready=self._needs,
            info=self._info,
            routes=self._routes(),
            on_refused=self._hub.count_refused,
            audit=audit,
        )
        self._reloader = Reloader(settings, read or (lambda: settings), feed, self._admit, audit)

    @property
    def url(self) -> str:
        """Where it serves, once it runs."""
        return self._server.url

    def stop(self) -> None:
        """End soon."""
        self._stop.set()

    def reload(self) -> None:
        """Read the configuration again soon."""
        self._reloader.ask()

    async def run(self) -> None:
        """Serve until a signal comes."""
        ending.listen(self._loop.add_signal_handler, self._stop)
        if self._hang_ups is not None:
            self._hang_ups.listen(self._loop.add_signal_handler, self._reloader.ask, self._stop.set)
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._server)
            await stack.enter_async_context(self._feed)
            for task in (self._tick(), self._reloader.serve()):
                stack.push_async_callback(ending.end, asyncio.create_task(task))
            address = self._server.url.replace("http", "ws", 1)
            log.info("open %s/", self._server.url, extra=BARE)
            log.info("earmarkd %s: subscribe at %s%s", __version__, address, EVENTS, extra=BARE)
            systemd.notify("READY=1")
            await self._stop.wait()
            self._server.drain()
            systemd.notify("STOPPING=1")

    def _endpoint(self, most: int) -> Endpoint:
        replayer = Replayer(self._hub, self._kept, self._recent, timeout=WAIT_SECONDS, losses=lambda: self._feed.gone)
        return self._subscribers.of(events_endpoint(self._hub, replayer, most), self._check_known)

    def _check_known(self) -> None:
        if not self._feed.is_known:
            error = f"the gateway has no events yet: {self._feed.trouble}"
            raise RequestError(503, error, retry_after=RETRY_SECONDS)

    def _admit(self, access: Access, pair: Pair | None) -> Access:
        before, self._server.access = self._server.access, access
        self._server.renew(pair)
        return before

    def _routes(self) -> list[BaseRoute]:
        return [
            *page_routes(show_root),
            *History(self._kept, self._hello).routes(),
            *metrics_routes(self._feed.stats, self._hub.stats),
            *elsewhere_routes(),
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


def check(settings: Config) -> str:
    """Return what would run. Raises EarmarkError with what is wrong; it connects to nothing."""
    gateway = settings.gateway or Gateway()
    read_entry(settings.server)
    login = nats_login(gateway, "gateway")
    part = "".join(
        f", only the {what} {', '.join(names)}"
        for what, names in (("nodes", gateway.nodes), ("sources", gateway.sources))
        if names
    )
    return f"gateway: NATS, {login.address}, stream {gateway.stream}{part}; serves at {settings.server.listen}"


def run(settings: Config, *, read: Callable[[], Config], hang_ups: HangUps | None) -> None:
    """Run a gateway until it ends. Raises EarmarkError with what to tell a person.

    `read` reads the settings again, and `hang_ups` has taken the SIGHUPs since the process began.
    """

    async def serve() -> None:
        await Service(settings, read, hang_ups).run()

    asyncio.run(serve())
