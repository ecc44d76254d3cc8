"""The page beside a hub that publishes made-up events, without models: for tests and benchmarks of the page."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import random
import threading
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.config import settings as config
from earmark.control.history_routes import History
from earmark.detection.draft import Draft
from earmark.history.recent import Recent
from earmark.protocol import endpoints
from earmark.protocol.events import (
    ClassifierInfo,
    GateLevel,
    Hello,
    Label,
    Level,
    Numbered,
    Result,
    Score,
    SourceInfo,
    Tick,
    Why,
)
from earmark.server.routes import show_root
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer
from earmark.web.routes import page_routes

LABELS = tuple(f"label {number}" for number in range(20))
NAMES = ("one", "two", "three", "four")  # of the classifiers
LEVELS_PER_SECOND = 10
WHY = Why(0.91, 0.9, 0.8, 2, 2, "speech")
HOST = "earmark.test"  # a name that a browser does not take for this machine
PREFIX = b"/any/path"  # under which the proxy serves the page
DEADLINE = 60.0  # seconds until it serves; the machine may be busy
KEPT = 20_000  # events of the past: minutes at the rates of tests, because a page may be slow on a busy machine


class Played:
    """The page and made-up events, from a server on a thread of its own; leaving the context stops it."""

    def __init__(self, rate: float, token_file: str = "", labels: Sequence[str] = LABELS) -> None:
        self._rate = rate
        self._labels = tuple(labels)
        self._settings = config.Server(listen="127.0.0.1:0", token_file=token_file, allow_hosts=(HOST,))
        self._ready = threading.Event()
        self._ending = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._wanted: queue.SimpleQueue[Numbered] = queue.SimpleQueue()
        self.sent = 0
        self.url = ""
        self.behind_proxy = ""  # the same page, under a path of a proxy
        self.silent = False  # whether it says nothing, not even ticks

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._thread.join()

    def publish(self, event: Numbered) -> None:
        """Publish an event beside the made-up ones, soon."""
        self._wanted.put(event)

    async def _serve(self) -> None:
        infos = tuple(
            ClassifierInfo(name, "made/up", self._labels, ("desk",), "speech", "sliding", 1.0, 0.1) for name in NAMES
        )
        hub = Hub(1000, lambda: Hello("0", recent.epoch, recent.newest, 1, (SourceInfo("desk", "listening"),), infos))
        recent = Recent("9f2c61d0", events=KEPT, max_bytes=1000 * KEPT)
        publisher = Publisher([recent, hub], epoch=recent.epoch)
        settings = self._settings
        served = {endpoints.EVENTS: events_endpoint(hub, Replayer(hub, recent, recent), settings.max_subscribers)}
        routes = [*page_routes(show_root), *History(recent, hub.hello, lambda: datetime.now(UTC)).routes()]
        passing: set[asyncio.Task[None]] = set()

        def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            passing.add(asyncio.create_task(_proxy(server.port, reader, writer)))

        async with Server(settings, served, ready=lambda: {}, info=hub.stats, routes=routes) as server:
            proxy = await asyncio.start_server(pass_on, "127.0.0.1", 0)
            self.url = f"{server.url}/"
            self.behind_proxy = f"http://127.0.0.1:{proxy.sockets[0].getsockname()[1]}{PREFIX.decode()}/"
            self._ready.set()
            await self._play(publisher, hub)
            proxy.close()
        if passing:
            await asyncio.wait(passing)  # they end with the server's connections

    async def _play(self, publisher: Publisher, hub: Hub) -> None:
        began, levels = time.monotonic(), 0
        while not self._ending.is_set():
            await asyncio.sleep(0.01)
            passed = time.monotonic() - began
            while not self._wanted.empty():
                publisher.publish([Draft(self._wanted.get(), time.monotonic_ns())])
            while not self.silent and self.sent < passed * self._rate:
                publisher.publish([Draft(_event(self.sent, passed, self._labels), time.monotonic_ns())])
                self.sent += 1
            while not self.silent and levels < passed * LEVELS_PER_SECOND:
                levels += 1
                hub.broadcast(_level())
                if levels % (5 * LEVELS_PER_SECOND) == 0:
                    hub.broadcast(Tick(publisher.seq, _now()))


async def _proxy(port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass a connection on to `port`, with the prefix taken from the paths of its requests."""
    upstream, sink = await asyncio.open_connection("127.0.0.1", port)

    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter, cut: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await source.read(65536):
                target.write(data.replace(b"GET " + cut, b"GET ") if cut else data)
                await target.drain()
        target.close()

    await asyncio.gather(pump(reader, sink, PREFIX), pump(upstream, writer, b""))


def _event(number: int, at: float, labels: Sequence[str]) -> Result | Label:
    """Return a result, or each twentieth time a label that goes on or off."""
    name = NAMES[number % len(NAMES)]
    if number % 20 == 0:
        pair = number // 40
        label, identity, start = labels[pair % len(labels)], f"9f2c61d0-{pair}", max(0.0, at - 0.4)
        if number % 40 == 0:
            return Label(0, "", "desk", NAMES[0], identity, label, "on", start, 0.9, why=WHY)
        return Label(0, "", "desk", NAMES[0], identity, label, "off", start, end=at, peak=0.9, reason="quiet")
    scores = sorted((random.random() ** 4 for _ in range(5)), reverse=True)
    chosen = random.sample(labels, 5)
    pairs = tuple(Score(round(score, 4), label) for score, label in zip(scores, chosen, strict=True))
    return Result(0, "", "desk", name, max(0.0, at - 1), at, lag=0.05, result=pairs)


def _level() -> Level:
    db = -40 + 20 * random.random()
    gates = {name: GateLevel(True, random.random(), 0.5) for name in NAMES}
    return Level("desk", _now(), round(db, 1), round(db + 8, 1), -60.0, gates)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
