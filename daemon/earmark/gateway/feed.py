"""From the stream to the hub: the connections to NATS, one after the other, and what is known of the stream."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from earmark.broadcast.hub import Hub
from earmark.config.settings import Gateway
from earmark.gateway import messages
from earmark.gateway.following import Following
from earmark.gateway.nodes import Nodes
from earmark.history.recent import Recent
from earmark.jetstream.connection import Attempts, Connection, NatsError, failures, sentence
from earmark.jetstream.login import NatsLogin
from earmark.jetstream.subjects import node_in, nodes_stream
from earmark.protocol.events import Gap, Hello

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import StreamInfo

LOOK_SECONDS = 5.0  # between two looks at what the stream has

log = logging.getLogger(__name__)
_hello = msgspec.json.Decoder(Hello)


class FeedStats(msgspec.Struct, frozen=True):
    """How the gateway stands: `oldest` and `newest` are numbers of the stream, and `behind` what it has beyond `seq`.

    `gaps` counts numbers under which there was no event any more, and `stalls` consumers that went silent.
    """

    connected: bool
    detail: str
    server: str
    stream: str
    epoch: str
    seq: int
    oldest: int
    newest: int
    behind: int
    connects: int
    gaps: int
    stalls: int
    nodes: int
    silent: int


class StreamFeed:
    """Publishes each event of the stream to `recent` and `hub`, under its number there. On the event loop.

    It runs from entering to leaving, and connects again for ever. `recent` gets the name of the numbering, which is
    made of the stream's name and birth, so that it is the same at all gateways of it. `ended` is set with a sentence
    when the stream was made anew: its numbers mean something else then, and all clients must begin anew.
    """

    def __init__(
        self,
        settings: Gateway,
        login: NatsLogin,
        recent: Recent,
        hub: Hub,
        preload: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.nodes = Nodes(settings.qualify, settings.absent_after)
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.oldest = 0
        self._settings = settings
        self._login = login
        self._recent = recent
        self._hub = hub
        self._preload = preload
        self._clock = clock
        self._newest = 0  # of the stream
        self._awaited = self._awaited_states = 0  # numbers that must have come before anybody is greeted
        self._events: Following | None = None
        self._states: Following | None = None
        self._connection: Connection | None = None
        self._there = asyncio.Event()  # a connection
        self._task: asyncio.Task[None] | None = None
        self._detail = "not connected yet"
        self._connects = self._gaps = 0

    @property
    def is_known(self) -> bool:
        """Whether the stream was ever seen, so that subscribers can be greeted."""
        events, states = self._events, self._states
        return (
            events is not None
            and states is not None
            and self._recent.newest >= self._awaited
            and states.last >= self._awaited_states
        )

    @property
    def trouble(self) -> str:
        """What is the matter, as a sentence, or nothing."""
        if self._connection is None:
            return self._detail
        return "" if self.is_known else "reading the newest events"

    async def connection(self) -> Connection:
        """Wait for a connection, and return it."""
        await self._there.wait()
        assert self._connection is not None
        return self._connection

    def stats(self) -> FeedStats:
        """Return the counts so far."""
        follow = [each.stalls for each in (self._events, self._states) if each is not None]
        return FeedStats(
            self._connection is not None,
            self._detail,
            self._connection.server if self._connection is not None else "",
            self._settings.stream,
            self._recent.epoch,
            self._recent.newest,
            self.oldest,
            max(self._newest, self._recent.newest),
            max(0, self._newest - self._recent.newest),
            self._connects,
            self._gaps,
            sum(follow),
            len(self.nodes),
            len(self.nodes.silent(self._clock())),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="feed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        """Connect again and again. Ends by being cancelled, or when the stream was made anew."""
        attempts, expected = Attempts(self._login), failures()
        while not self.ended.done():
            server, broke = attempts.server(), asyncio.Event()
            try:
                async with Connection(self._login, server, "earmark-gateway", broke.set) as connection:
                    await self._begin(connection)
                    if self.ended.done():
                        return
                    attempts.succeeded()
                    await self._serve(connection, broke)
            except expected as error:
                self._lost(server, sentence(error))
            except Exception:
                log.exception("the gateway met an error; it connects anew")
                self._lost(server, "an error")
            await asyncio.sleep(attempts.pause())

    def _lost(self, server: str, why: str) -> None:
        if self._connection is not None or why != self._detail:
            address = server.partition("://")[2]
            log.warning("gateway: no events from NATS at %s: %s; trying again", address, why)
        self._there.clear()
        self._connection, self._detail = None, why

    async def _begin(self, connection: Connection) -> None:
        info = await self._look(connection)
        birth = f"{self._settings.stream}:{info.created.isoformat() if info.created else ''}"
        epoch = hashlib.sha256(birth.encode()).hexdigest()[:8]
        if self._events is None:
            start = max(self.oldest, info.state.last_seq + 1 - self._preload)
            states = (await _info(connection, nodes_stream(self._settings.stream))).state
            self._awaited, self._awaited_states = info.state.last_seq, states.last_seq if states.messages else 0
            self._recent.epoch, self._recent.newest = epoch, start - 1
            self._events = Following(self._settings.stream, start, self._take)
            self._states = Following(nodes_stream(self._settings.stream), None, self._take_hello)
        elif epoch != self._recent.epoch:
            self.ended.set_result(f"the stream {self._settings.stream} was made anew, so its numbers begin anew")
            return
        self._connection, self._detail, self._connects = connection, "", self._connects + 1
        self._there.set()
        log.info("gateway: connected to NATS at %s; stream %s", connection.server, self._settings.stream)

    async def _look(self, connection: Connection) -> StreamInfo:
        """Return what the stream has, and keep its oldest and newest numbers."""
        info = await _info(connection, self._settings.stream)
        state = info.state
        self.oldest, self._newest = max(1, state.first_seq if state.messages else state.last_seq + 1), state.last_seq
        return info

    async def _serve(self, connection: Connection, broke: asyncio.Event) -> None:
        """Follow the stream until the connection breaks, which raises."""
        assert self._events is not None
        assert self._states is not None

        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                await self._look(connection)

        async def wait() -> None:
            await broke.wait()
            connection.check()

        await _first(self._events.follow(connection), self._states.follow(connection), look(), wait())

    def _take(self, seq: int, message: Msg) -> None:
        if seq > self._recent.newest + 1:
            self._miss(seq - 1)
        self._newest = max(self._newest, seq)
        event, node = messages.read(message.data), node_in(message.subject)
        if event is None:
            self._miss(seq)
            return
        self.nodes.note(node, event)
        published = messages.published(self.nodes, node, event, message.headers, seq, self._clock())
        self._recent.publish(published)
        self._hub.publish(published)

    def _miss(self, to: int) -> None:
        """Tell that the stream has no events up to this number any more, or something else in their place."""
        first = self._recent.newest + 1
        self._gaps += to + 1 - first
        self._recent.skip(to)
        self._hub.tell(Gap(first, to, "too_old"))

    def _take_hello(self, seq: int, message: Msg) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            self.nodes.hello(node_in(message.subject), _hello.decode(message.data), self._clock())


async def _info(connection: Connection, stream: str) -> StreamInfo:
    import nats.js.errors  # of an extra

    try:
        return await connection.jetstream.stream_info(stream)
    except nats.js.errors.NotFoundError:
        raise NatsError(f'there is no stream {stream} yet; [[publish]] kind = "nats" of a daemon makes it') from None


async def _first(*coroutines: Coroutine[object, object, None]) -> None:
    """Run all until one ends, which ends the others, and raise what it raised."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    for task in done:
        task.result()
