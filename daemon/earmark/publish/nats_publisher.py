"""One stream of NATS JetStream: the connection to it, what waits for it, and how far it has the events."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Self

from earmark import __version__
from earmark.broadcast.sink import Published
from earmark.config.brokers import Nats
from earmark.errors import EarmarkError
from earmark.history.recent import Recent
from earmark.jetstream.connection import ANSWER_SECONDS, Attempts, Connection, NatsError, failures, sentence
from earmark.jetstream.login import NatsLogin
from earmark.jetstream.streams import ensure, last_of
from earmark.jetstream.subjects import ID, ON_SCORE, MessageId, Subjects, nodes_stream
from earmark.protocol.events import Config, Gap, Hello, Source, encode
from earmark.publish.daemon import Daemon
from earmark.publish.stats import DropReason, PublishStats

if TYPE_CHECKING:
    import nats.js.api

SECOND = 1_000_000_000  # nanoseconds
PAGE = 100  # events that are read and sent without a look at anything else
HELLO_SECONDS = 20.0  # after which a node that has nothing to tell says that it is there
SOON_SECONDS = 0.2  # in which several changes of the sources become one hello
CLOSE_SECONDS = 3.0  # at the end, for what waits
GIVE_UP_SECONDS = 0.5  # at the end, where there is no connection
HEADROOM = 1024  # bytes of a message beside its payload

log = logging.getLogger(__name__)


class NatsPublisher:
    """A Sink that publishes every event, in order, from entering to leaving. On the event loop.

    The absence of NATS costs nobody anything: publish() never waits, the outbox is bounded, and attempts to connect go
    on for ever. `position` is the number up to which the stream has the events; what comes after it is sent again from
    the outbox, or else from what the daemon keeps, and what neither has is told in the stream as a gap. Sent events
    that wait for their receipts are bounded too. The ids let the server drop what it has already.
    """

    def __init__(
        self, settings: Nats, login: NatsLogin, node: str, daemon: Daemon, clock: Callable[[], int] = time.monotonic_ns
    ) -> None:
        self.settings = settings
        self.login = login
        self._daemon = daemon
        self._clock = clock
        self._kept = daemon.kept
        self._epoch = self._kept.epoch if self._kept is not None else secrets.token_hex(4)
        self.position = self._kept.newest if self._kept is not None else 0
        self._outbox = Recent(self._epoch, self.position, settings.outbox, settings.outbox_kb * 1000)
        self._subjects = Subjects(settings.prefix, node)
        self._cursor = self.position  # the number of the newest event that was sent on this connection
        self._in_flight: deque[tuple[int, int, asyncio.Future[nats.js.api.PubAck]]] = deque()  # number, time, receipt
        self._was_connected = False  # so that `position` tells what the stream has, and not only where this run began
        self._was_refused = False  # a message on the last connection, so that later ones may have overtaken it
        self._hello_at = 0  # when to send it
        self._wake = asyncio.Event()
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._connected = False
        self._detail = ""
        self._connects = self._sent = 0
        self._dropped: dict[DropReason, int] = {"full": 0, "too_large": 0}

    def publish(self, published: Published) -> None:
        """Take the event. Never waits and never raises."""
        self._outbox.publish(published)
        if isinstance(published.event, Config | Source):
            self._hello_at = min(self._hello_at, self._clock() + int(SOON_SECONDS * SECOND))
        self._wake.set()

    def stats(self) -> PublishStats:
        """Return the counts so far. What waits may be in the journal; `bytes` are those in memory."""
        oldest = min(self._outbox.oldest, self._kept.oldest if self._kept is not None else self._outbox.oldest)
        gone = max(0, oldest - 1 - self.position)
        return PublishStats(
            self.settings.name,
            "nats",
            self._connected,
            self._detail,
            self._connects,
            self._sent,
            self._dropped | {"full": self._dropped["full"] + gone},
            max(0, self._outbox.newest - self.position - gone),
            sum(len(each.text) for each in self._outbox.since(max(self.position, self._outbox.oldest - 1)) or ()),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="nats")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hello_at = 0
        self._closing.set()
        self._wake.set()
        if self._task is not None:
            _, late = await asyncio.wait([self._task], timeout=CLOSE_SECONDS if self._connected else GIVE_UP_SECONDS)
            for task in late:
                task.cancel()
                await asyncio.wait([task])
        if (left := self._outbox.newest - self.position) > 0:
            log.warning("%s: NATS has not got the last %d events", self._told, left)

    async def _run(self) -> None:
        """Connect again and again until the end. Ends by itself after _closing is set, or by being cancelled."""
        attempts, expected = Attempts(self.login), failures()
        while not self._closing.is_set():
            server = attempts.server()
            try:
                async with Connection(
                    self.login, server, f"earmark-{self._subjects.node}", self._wake.set
                ) as connection:
                    await self._begin(connection)
                    attempts.succeeded()
                    await self._serve(connection)
                self._connected = False
            except expected as error:
                self._lost(server, sentence(error))
            except Exception:
                log.exception("%s: the publisher met an error; it begins anew", self._told)
                self._lost(server, "an error")
            finally:
                self._forget()
            if not self._closing.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(attempts.pause()):
                        await self._closing.wait()

    @property
    def _told(self) -> str:
        return f"publish {self.settings.name}"

    def _lost(self, server: str, why: str) -> None:
        address = server.partition("://")[2]
        if not self._closing.is_set() and (self._connected or why != self._detail):
            log.warning("%s: no connection to NATS at %s: %s; trying again", self._told, address, why)
        self._connected, self._detail = False, why

    def _forget(self) -> None:
        """Take the receipts that have come, and forget those that will not."""
        with contextlib.suppress(Exception):
            self._take_receipts()
        for _, _, receipt in self._in_flight:
            self._was_refused |= receipt.done() and receipt.exception() is not None
            receipt.cancel()
        self._in_flight.clear()

    async def _begin(self, connection: Connection) -> None:
        """Make the streams where they are missing, and find out what the stream has of this daemon."""
        settings, subjects = self.settings, self._subjects
        await ensure(connection, settings, settings.stream, subjects.all)
        await ensure(connection, settings, nodes_stream(settings.stream), subjects.nodes, last_only=True)
        there = await last_of(connection, settings.stream, subjects.own)
        if there is not None and there.epoch == self._epoch and there.seq <= self._outbox.newest:
            if not self._was_connected or there.seq < self.position or not self._was_refused:
                self.position = there.seq
        self._cursor = self.position
        self._hello_at = 0
        self._was_connected, self._was_refused = True, False
        self._connected, self._detail, self._connects = True, "", self._connects + 1
        behind = self._outbox.newest - self.position
        log.info(
            "%s: connected to NATS at %s as %s; %d events wait", self._told, connection.server, subjects.node, behind
        )

    async def _serve(self, connection: Connection) -> None:
        """Send what there is until the connection breaks, which raises, or until the end and nothing waits."""
        while True:
            self._wake.clear()
            self._take_receipts()
            connection.check()
            if self._clock() >= self._hello_at:
                await self._say_hello(connection)
            if self._cursor < self._outbox.newest and len(self._in_flight) < self.settings.in_flight:
                await self._send(connection, min(PAGE, self.settings.in_flight - len(self._in_flight)))
            elif self._closing.is_set() and not self._in_flight:
                return
            else:
                await self._until_woken()

    async def _until_woken(self) -> None:
        due = self._hello_at
        if self._in_flight:
            due = min(due, self._in_flight[0][1] + int(ANSWER_SECONDS * SECOND) + 1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, (due - self._clock()) / SECOND)):
                await self._wake.wait()

    def _take_receipts(self) -> None:
        """Go on to the last event whose receipt has come with those of all before it. Raises what a receipt says."""
        while self._in_flight and self._in_flight[0][2].done():
            seq, _, receipt = self._in_flight[0]
            receipt.result()
            self._in_flight.popleft()
            self.position = seq
            self._sent += 1
        if self._in_flight and self._clock() - self._in_flight[0][1] > ANSWER_SECONDS * SECOND:
            self._was_refused = True
            raise NatsError("no receipt")

    async def _send(self, connection: Connection, limit: int) -> None:
        for published in await self._next(limit):
            seq = published.event.seq
            if seq > self._cursor + 1:
                await self._send_gap(connection, self._cursor + 1, seq - 1, "full")
            if len(published.text) > connection.client.max_payload - HEADROOM:
                log.warning("%s: event %d is larger than the server takes; it is left out", self._told, seq)
                await self._send_gap(connection, seq, seq, "too_large")
            else:
                subject = self._subjects.event(published.event)
                await self._put(connection, subject, published.text, MessageId(self._epoch, seq), published.on_score)

    async def _send_gap(self, connection: Connection, first: int, last: int, reason: DropReason) -> None:
        self._dropped[reason] += last + 1 - first
        text = encode(Gap(first, last, "too_old"))
        await self._put(connection, self._subjects.gap, text, MessageId(self._epoch, last, first))

    async def _put(
        self,
        connection: Connection,
        subject: str,
        payload: bytes,
        identity: MessageId,
        on_score: float | None = None,
    ) -> None:
        headers = {ID: str(identity)} if on_score is None else {ID: str(identity), ON_SCORE: repr(on_score)}
        receipt = await connection.jetstream.publish_async(
            subject, payload, stream=self.settings.stream, headers=headers
        )
        receipt.add_done_callback(lambda receipt: self._wake.set())
        self._in_flight.append((identity.seq, self._clock(), receipt))
        self._cursor = identity.seq

    async def _next(self, limit: int) -> Sequence[Published]:
        """Return the events after the cursor: from memory, or from what the daemon keeps, or else what is left."""
        recent: Sequence[Published] | None = self._outbox.since(self._cursor, limit)
        if recent is None and self._kept is not None:
            try:
                recent = await self._kept.after(self._cursor, limit)
            except EarmarkError as error:
                log.warning("%s: what is kept cannot be read: %s", self._told, error)
        return recent or self._outbox.since(max(self._cursor, self._outbox.oldest - 1), limit) or ()

    async def _say_hello(self, connection: Connection) -> None:
        """Tell what there is, for who comes later."""
        self._hello_at = self._clock() + int(HELLO_SECONDS * SECOND)
        hello = Hello(
            __version__,
            self._epoch,
            self._outbox.newest,
            self._kept.oldest if self._kept is not None else self._outbox.oldest,
            tuple(self._daemon.sources()),
            tuple(info for info, _ in self._daemon.classifiers()),
        )
        await connection.jetstream.publish(self._subjects.hello, encode(hello))
