"""From the stream to the hub: the connections to NATS, one after the other, and what is known of the stream."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self

import msgspec

from earmark.broadcast.hub import Hub
from earmark.config.brokers import Gateway
from earmark.gateway import messages
from earmark.gateway.following import Following
from earmark.gateway.gone import Gone
from earmark.gateway.nodes import Nodes
from earmark.history.recent import Recent
from earmark.jetstream.connection import Attempts, Connection, NatsError, failures, sentence
from earmark.jetstream.login import NatsLogin
from earmark.jetstream.subjects import hellos, node_in, nodes_stream, served
from earmark.protocol.events import Gap, Hello
from earmark.supervision import ending

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.api import StreamInfo

LOOK_SECONDS = 5.0  # between two looks at what the stream has
PART = ("stream", "prefix", "nodes", "sources", "qualify", "absent_after")  # settings that say what is served

log = logging.getLogger(__name__)
_hello = msgspec.json.Decoder(Hello)


class FeedStats(msgspec.Struct, frozen=True):
    """How the gateway stands. `oldest` and `newest` are numbers of the stream, and `behind` what it has beyond `seq`.

    `served_nodes` and `served_sources` are those of the settings; if they are empty, all are served. `gaps` counts
    numbers under which there was no event any more, and `stalls` consumers that went silent.
    """

    connected: bool
    detail: str
    server: str
    stream: str
    served_nodes: tuple[str, ...]
    served_sources: tuple[str, ...]
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
    made of the stream's name and birth, so that it is the same at all gateways of it. `begin_anew` is called with a
    sentence when the numbers mean something else from now on, or other sources are served: all subscribers must come
    again then.
    """

    def __init__(
        self,
        settings: Gateway,
        login: NatsLogin,
        recent: Recent,
        hub: Hub,
        preload: int,
        begin_anew: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self._login = login
        self._recent = recent
        self._hub = hub
        self._preload = preload
        self._begin_anew = begin_anew
        self._clock = clock
        self._attempts = Attempts(login)
        self._newest = 0  # of the stream
        self._connection: Connection | None = None
        self._there = asyncio.Event()  # a connection
        self._changed = asyncio.Event()  # the settings
        self._task: asyncio.Task[None] | None = None
        self._detail = "not connected yet"
        self._connects = self._gaps = self._stalls = 0
        self._reset()

    def _reset(self) -> None:
        """Know nothing of the stream."""
        settings = self.settings
        self.nodes = Nodes(settings.qualify, settings.absent_after, settings.sources)
        self._events: Following | None = None
        self._states: Following | None = None
        self._was_known = False
        self.gone = Gone(part=bool(self.subjects))

    @property
    def is_known(self) -> bool:
        """Whether what was in the stream at first has come, so that subscribers can be greeted."""
        followed = [each for each in (self._events, self._states) if each is not None]
        self._was_known |= len(followed) == 2 and all(each.has_caught_up for each in followed)
        return self._was_known

    @property
    def trouble(self) -> str:
        """What is the matter, as a sentence, or nothing."""
        if self._connection is None:
            return self._detail
        return "" if self.is_known else "reading the newest events"

    @property
    def subjects(self) -> tuple[str, ...]:
        """What of the stream is served; nothing means all."""
        return served(self.settings.prefix, self.settings.nodes, self.settings.sources)

    async def connection(self) -> Connection:
        """Wait for a connection, and return it."""
        await self._there.wait()
        assert self._connection is not None
        return self._connection

    def change(self, settings: Gateway, login: NatsLogin) -> bool:
        """Go by other settings, over another connection. Returns whether the secret is another one."""
        before, has_new_secret = self.settings, login.password != self._login.password
        if settings == before and not has_new_secret:
            return False
        self.settings, self._login, self._attempts = settings, login, Attempts(login)
        if any(getattr(before, name) != getattr(settings, name) for name in PART):
            self._forget("the gateway serves something else now")
        self._changed.set()
        return has_new_secret

    def stats(self) -> FeedStats:
        """Return the counts so far."""
        follow = [each.stalls for each in (self._events, self._states) if each is not None]
        return FeedStats(
            self._connection is not None,
            self._detail,
            self._connection.server if self._connection is not None else "",
            self.settings.stream,
            self.settings.nodes,
            self.settings.sources,
            self._recent.epoch,
            self._recent.newest,
            self.gone.oldest,
            max(self._newest, self._recent.newest),
            max(0, self._newest - self._recent.newest),
            self._connects,
            self._gaps,
            self._stalls + sum(follow),
            len(self.nodes),
            len(self.nodes.silent(self._clock())),
        )

    async def look(self, connection: Connection) -> StreamInfo:
        """Return what the stream has, and keep its oldest and newest numbers. Raises NatsError if it is another one."""
        info = await _info(connection, self.settings.stream)
        if self._events is not None and self._epoch(info) != self._recent.epoch:
            raise NatsError(f"the stream {self.settings.stream} was made anew")
        self._keep(info)
        return info

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
        """Connect again and again. Ends by being cancelled."""
        expected = failures()
        while True:
            self._changed.clear()
            attempts, broke = self._attempts, asyncio.Event()
            server = attempts.server()
            try:
                async with Connection(self._login, server, "earmark-gateway", broke.set) as connection:
                    await self._begin(connection)
                    attempts.succeeded()
                    await self._serve(connection, broke)
            except expected as error:
                self._disconnected(server, sentence(error))
            except Exception:
                log.exception("the gateway met an error; it connects anew")
                self._disconnected(server, "an error")
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(attempts.pause()):
                    await self._changed.wait()

    def _disconnected(self, server: str, why: str) -> None:
        if not self._changed.is_set() and (self._connection is not None or why != self._detail):
            address = server.partition("://")[2]
            log.warning("gateway: no events from NATS at %s: %s; trying again", address, why)
        self._there.clear()
        self._connection, self._detail = None, why

    def _forget(self, why: str) -> None:
        """Begin anew, and have all subscribers do so."""
        self._stalls = self.stats().stalls
        self._reset()
        self._begin_anew(why)

    async def _begin(self, connection: Connection) -> None:
        settings = self.settings
        info = await _info(connection, settings.stream)
        if self._changed.is_set():  # meanwhile, and then this is not what is served
            raise NatsError("the settings have changed")
        epoch = self._epoch(info)
        if self._recent.epoch and self._events is not None and epoch != self._recent.epoch:
            log.warning("gateway: the stream %s was made anew, so its numbers begin anew", settings.stream)
            self._forget("the stream was made anew")
        elif self._events is not None and info.state.last_seq < self._recent.newest:
            log.warning("gateway: the stream %s has lost its end, from %d on", settings.stream, info.state.last_seq + 1)
            self._forget("the stream has lost its end")
        self._keep(info)
        if self._events is None:
            start = max(self.gone.oldest, info.state.last_seq + 1 - self._preload)
            self._recent.epoch = epoch
            self._recent.skip(start - 1)
            passed = self._pass if self.subjects else None
            self._events = Following(
                settings.stream, start, self._take, subjects=self.subjects, passed=passed, look=self.look
            )
            nodes = hellos(settings.prefix, settings.nodes)
            self._states = Following(nodes_stream(settings.stream), None, self._take_hello, subjects=nodes)
        self._connection, self._detail, self._connects = connection, "", self._connects + 1
        self._there.set()
        log.info("gateway: connected to NATS at %s; stream %s", connection.server, settings.stream)

    def _epoch(self, info: StreamInfo) -> str:
        birth = f"{self.settings.stream}:{info.created.isoformat() if info.created else ''}"
        return hashlib.sha256(birth.encode()).hexdigest()[:8]

    def _keep(self, info: StreamInfo) -> None:
        state = info.state
        self.gone.oldest, self._newest = (
            max(1, state.first_seq if state.messages else state.last_seq + 1),
            state.last_seq,
        )

    async def _serve(self, connection: Connection, broke: asyncio.Event) -> None:
        """Follow the stream until the connection breaks, or the settings change, which raises."""
        assert self._events is not None
        assert self._states is not None

        async def look() -> None:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                await self.look(connection)

        async def wait() -> None:
            await broke.wait()
            connection.check()

        async def change() -> None:
            await self._changed.wait()
            raise NatsError("the settings have changed")

        await ending.first(self._events.follow(connection), self._states.follow(connection), look(), wait(), change())

    def _take(self, seq: int, message: Msg) -> None:
        self._pass(seq - 1)
        self._newest = max(self._newest, seq)
        event, node = messages.read(message.data), node_in(message.subject)
        if event is None:
            self.gone.note(seq, messages.missing(message.data))
            self._miss(seq)
            return
        self.nodes.note(node, event)
        published = messages.published(self.nodes, node, event, message.headers, seq, self._clock())
        self._recent.publish(published)
        self._hub.publish(published)

    def _pass(self, to: int) -> None:
        """Go on behind `to`: there are no events before it. Where a part is served, they may be of the others."""
        by_limits = self._events is None or self._events.is_behind
        if to > self._recent.newest and (last := self.gone.last(self._recent.newest + 1, to, by_limits=by_limits)):
            self._miss(last)
        if to > self._recent.newest:
            self._recent.pass_over(to)
            self._newest = max(self._newest, to)

    def _miss(self, to: int) -> None:
        """Tell that the stream has no events up to this number any more, or something else in their place."""
        first = self._recent.newest + 1
        events = self.gone.count(first, to)
        self._gaps += events
        self._recent.skip(to)
        self._hub.tell(Gap(first, to, "too_old", events if events > to + 1 - first else 0))

    def _take_hello(self, seq: int, message: Msg) -> None:
        with contextlib.suppress(msgspec.MsgspecError):
            self.nodes.hello(node_in(message.subject), _hello.decode(message.data), self._clock())


async def _info(connection: Connection, stream: str) -> StreamInfo:
    import nats.js.errors  # of an extra

    try:
        return await connection.jetstream.stream_info(stream)
    except nats.js.errors.NotFoundError:
        raise NatsError(f'there is no stream {stream} yet; [[publish]] kind = "nats" of a daemon makes it') from None
