"""A hub and a server on a free port, with made-up events, for tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from types import MappingProxyType
from typing import Any

import websockets.asyncio.client
from starlette.routing import BaseRoute
from websockets.asyncio.client import ClientConnection

from earmark.broadcast.hub import Hub
from earmark.broadcast.publisher import Publisher
from earmark.config import settings as config
from earmark.control.history_routes import History
from earmark.detection.draft import Draft
from earmark.history.kept import Kept
from earmark.history.recent import Recent
from earmark.protocol.endpoints import EVENTS
from earmark.protocol.events import ClassifierInfo, Hello, Label, Numbered, Result, Score, SourceInfo
from earmark.protocol.readiness import Need
from earmark.server.connection import PING_SECONDS
from earmark.server.handshake import Endpoint
from earmark.server.server import Server
from earmark.stream.events_endpoint import events_endpoint
from earmark.stream.replayer import Replayer

DEADLINE = 60.0  # seconds for whatever a test waits for; the machine may be busy
TIME = "2026-11-22T07:31:05.120Z"
SOURCES = (SourceInfo("desk", "listening"),)
CLASSIFIERS = (
    ClassifierInfo(
        "commands",
        "earmark/commands",
        ("stop", "go", "left", "Male speech", "Male speech, man speaking"),
        ("desk",),
        "speech",
        "utterance",
        1.0,
        0.0,
        "on",
    ),
    ClassifierInfo("emotion", "earmark/emotion", ("happy", "calm"), ("desk",), "speech", "sliding", 3.0, 0.5),
)


def result(seq: int, source: str = "desk", classifier: str = "commands", **changes: Any) -> Result:
    """A result with three labels, `stop` on top."""
    scores = (Score(0.81, "stop"), Score(0.1, "go"), Score(0.09, "left"))
    fields: dict[str, Any] = {"time": TIME, "start": 1.0, "end": 2.0, "result": scores} | changes
    return Result(seq, source=source, classifier=classifier, **fields)


def command(seq: int, label: str = "stop", score: float = 0.97) -> Label:
    """A voice command: an `on` with an end."""
    return Label(
        seq, TIME, "desk", "commands", f"e-{seq}", label, "on", 1.0, score, end=1.6, reason="utterance", lag=0.0
    )


def lasting(identity: str, label: str) -> Label:
    """The `on` of a label that lasts."""
    return Label(0, TIME, "desk", "emotion", identity, label, "on", 1.0, score=0.7)


def hello(epoch: str, seq: int, oldest: int = 1) -> Hello:
    return Hello("0.1.0", epoch, seq, oldest, SOURCES, CLASSIFIERS)


class Serving:
    """A hub and its server, and a publisher whose clocks stand still at TIME. `missing` is what it lacks to listen."""

    def __init__(
        self,
        settings: config.Server,
        *,
        backlog: int = 1000,
        stall: float = 30.0,
        ping: float = PING_SECONDS,
        kept: Callable[[Recent], Kept] = lambda recent: recent,
        endpoints: Mapping[str, Endpoint] = MappingProxyType({}),
        routes: Sequence[BaseRoute] = (),
        **more: Any,
    ) -> None:
        self.hub = Hub(backlog, self.hello, stall=stall)
        self.recent = Recent("9f2c61d0", events=settings.recent)
        self.kept = kept(self.recent)
        self.publisher = Publisher(
            [self.recent, self.hub],
            epoch=self.recent.epoch,
            monotonic=lambda: 0,
            utc=lambda: self.now,
        )
        self.now = datetime.fromisoformat(TIME)
        replayer = Replayer(self.hub, self.kept, self.recent, utc=lambda: self.now.timestamp())
        self.address = "127.0.0.1"  # at which clients connect
        self.missing: dict[str, str] = {}
        self.stuck: list[str] = []
        self.server = Server(
            settings,
            {EVENTS: events_endpoint(self.hub, replayer, settings.max_subscribers, ping_seconds=ping), **endpoints},
            ready=lambda: {"listening": Need(not self.missing, self.missing), "clips": Need(True)},
            info=lambda: {"version": "0.1.0", "events": self.hub.stats()},
            live=lambda: self.stuck,
            routes=[*routes, *History(self.kept, self.hello, lambda: self.now).routes()],
            on_refused=self.hub.count_refused,
            **more,
        )

    @property
    def host(self) -> str:
        return f"{self.address}:{self.server.port}"

    def hear(self, label: str = "stop", score: float = 0.97) -> int:
        """Publish a voice command and return its number."""
        return self.publish(command(self.publisher.seq + 1, label, score))

    def score(self, **changes: Any) -> int:
        """Publish a result and return its number."""
        return self.publish(result(0, **changes))

    def publish(self, event: Numbered, *, on_score: float | None = None) -> int:
        """Publish any event and return its number."""
        self.publisher.publish([Draft(event, captured=0, on_score=on_score)])
        return self.publisher.seq

    def hello(self) -> Hello:
        """Return what a new subscriber is greeted with."""
        return hello(self.publisher.epoch, self.publisher.seq, self.recent.oldest)

    def connect(self, query: str = "", path: str = "/v1/events", **more: Any) -> websockets.asyncio.client.connect:
        return websockets.asyncio.client.connect(f"ws://{self.host}{path}?{query}", proxy=None, **more)

    @asynccontextmanager
    async def subscriber(self, query: str = "", **more: Any) -> AsyncIterator[ClientConnection]:
        """A connection whose hello has been read."""
        async with self.connect(query, **more) as connection:
            await connection.recv()
            yield connection

    async def until(self, holds: Callable[[], bool]) -> None:
        """Let the loop run until `holds`, for what the server does on its own and tells nobody."""
        async with asyncio.timeout(DEADLINE):
            while not holds():
                await asyncio.sleep(0.005)


def serve(
    scenario: Callable[[Serving], Awaitable[None]], settings: config.Server | None = None, **more: Any
) -> Serving:
    """Run `scenario` with a server on a free port, and end both."""

    async def main() -> Serving:
        serving = Serving(settings or config.Server(listen="127.0.0.1:0"), **more)
        async with asyncio.timeout(3 * DEADLINE), serving.server:
            await scenario(serving)
        return serving

    return asyncio.run(main())
