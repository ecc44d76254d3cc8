"""From an HTTP upgrade to a subscriber: the handshake, its refusals, and what a subscriber may say.

uvicorn hands over the socket of every upgrade request; the `websockets` package's own connection takes it from there.
All on the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame
from websockets.http11 import Request, Response
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from earmark.broadcast.hub import Hub, Subscriber
from earmark.broadcast.subscription import Subscription, parse
from earmark.errors import SubscriptionError
from earmark.protocol.events import Error, encode
from earmark.server.access import Access
from earmark.server.responses import error_body
from earmark.server.routes import EVENTS_PATH
from earmark.server.tokens import Tokens

log = logging.getLogger(__name__)
_library_log = logging.getLogger("earmark.websockets")
_library_log.setLevel(logging.ERROR)  # it tells of every connection, and so do we


SUBPROTOCOL = Subprotocol("earmark.v1")
MAX_MESSAGE = 64 * 1024  # bytes; subscribers only send filters
MAX_FRAMES = 100  # messages and pings a second
WRITE_LIMIT = (64 * 1024, 16 * 1024)  # bytes in the transport: behind above the first, drained below the second
PING_SECONDS = 20.0
HANDSHAKE_SECONDS = 10.0
CLOSE_SECONDS = 2.0
RETRY_AFTER = "5"  # seconds
FLOODING = 1008
GOING_AWAY = 1001
NOBODY_NEEDS_ONE = Tokens()
SLICE = 4096  # bytes parsed between two looks at the rate: a read can hold 40,000 pings


class Handshake:
    """uvicorn's `ws=` hook: makes the connection for an upgrade request, and knows all that are there.

    Ends with close().
    """

    def __init__(
        self,
        hub: Hub,
        access: Access,
        max_subscribers: int,
        max_frames: int = MAX_FRAMES,
        tokens: Tokens = NOBODY_NEEDS_ONE,
    ) -> None:
        self.hub = hub
        self.access = access
        self.tokens = tokens
        self.max_frames = max_frames
        self._max_subscribers = max_subscribers
        self._accepted: set[SubscriberConnection] = set()
        self._lives: set[asyncio.Task[None]] = set()
        self._serving = True

    def __call__(self, config: object, server_state: object, app_state: object) -> asyncio.Protocol:
        return SubscriberConnection(self)

    def is_serving(self) -> bool:
        """Asked by the library at the end of a handshake."""
        return self._serving

    def begin(self, connection: SubscriberConnection) -> None:
        """A socket was handed over: live the connection's life in a task."""
        task = asyncio.get_running_loop().create_task(self._live(connection))
        self._lives.add(task)
        task.add_done_callback(self._lives.discard)

    async def close(self, seconds: float) -> None:
        """Close all subscribers with 1001, and abort who has not answered after `seconds`."""
        self._serving = False
        connections = list(self._accepted)
        closing = [asyncio.ensure_future(connection.close(GOING_AWAY, "shutdown")) for connection in connections]
        if closing:
            await asyncio.wait(closing, timeout=seconds)
        for connection in connections:
            connection.transport.abort()
        if self._lives:
            # an aborted connection ends its life in the next turn of the loop; a handshake may hang for its ten seconds
            _, hanging = await asyncio.wait(self._lives, timeout=0.2)
            for life in hanging:
                life.cancel()
            await asyncio.gather(*hanging, *closing, return_exceptions=True)

    async def _live(self, connection: SubscriberConnection) -> None:
        """Handshake, subscription, end. Ends with the connection: keepalive, the hub and close() see to that."""
        try:
            async with asyncio.timeout(HANDSHAKE_SECONDS):
                await connection.handshake(self._refuse, _as_json, server_header=None)
            if connection.state is OPEN:
                connection.start_keepalive()
                async with connection:
                    await connection.converse()
        except (ConnectionClosed, TimeoutError, OSError):
            pass  # the client's doing, in the handshake or later
        except Exception:
            log.exception("a subscriber's connection failed")
        finally:
            connection.leave()
            connection.transport.abort()
            self._accepted.discard(connection)

    def _refuse(self, connection: ServerConnection, request: Request) -> Response | None:
        """The answer to a handshake that is refused, or None. Accepting takes one of the places."""
        assert isinstance(connection, SubscriberConnection)
        path, _, query = request.path.partition("?")
        refusal = self.access.refusal(request.headers.get("Host"), request.headers.get("Origin"))
        if refusal is not None:
            return self._refusal(connection, HTTPStatus.FORBIDDEN, refusal)
        refusal = self._without_token(request)
        if refusal is not None:
            response = self._refusal(connection, HTTPStatus.UNAUTHORIZED, refusal)
            response.headers["WWW-Authenticate"] = "Bearer"
            return response
        if path != EVENTS_PATH:
            return self._refusal(connection, HTTPStatus.NOT_FOUND, f"no WebSocket here; events are at {EVENTS_PATH}")
        try:
            connection.subscription = parse(parse_qsl(query, keep_blank_values=True))
        except SubscriptionError as error:
            return self._refusal(connection, HTTPStatus.BAD_REQUEST, str(error))
        if len(self._accepted) >= self._max_subscribers:
            text = f"there are {self._max_subscribers} subscribers already, as many as server.max_subscribers allows"
            response = self._refusal(connection, HTTPStatus.SERVICE_UNAVAILABLE, text)
            response.headers["Retry-After"] = RETRY_AFTER
            return response
        self._accepted.add(connection)
        return None

    def _without_token(self, request: Request) -> str | None:
        """Why a handshake is refused for want of a token, which is in a header or, from a browser, a subprotocol."""
        offered = request.headers.get_all("Sec-WebSocket-Protocol")
        subprotocols = [name.strip() for line in offered for name in line.split(",")]
        return self.tokens.refusal(request.headers.get("Authorization"), subprotocols)

    def _refusal(self, connection: ServerConnection, status: HTTPStatus, text: str) -> Response:
        self.hub.refused += 1
        log.debug("handshake refused with %d: %s", status, text)
        return connection.respond(status, text)


class SubscriberConnection(ServerConnection):
    """The library's connection, with the hub's ear on its flow control and a limit on what a client may send."""

    def __init__(self, upgrades: Handshake) -> None:
        protocol = ServerProtocol(
            subprotocols=[SUBPROTOCOL], select_subprotocol=_select, max_size=MAX_MESSAGE, logger=_library_log
        )
        super().__init__(
            protocol,
            cast(Server, upgrades),  # of which it asks is_serving() only
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            write_limit=WRITE_LIMIT,
        )
        self.upgrades = upgrades
        self.subscription = Subscription()  # from the handshake
        self.subscriber: Subscriber | None = None  # while it is open
        self._second = 0.0  # when the second began in which frames are counted
        self._frames = 0
        self._ending: asyncio.TimerHandle | None = None  # the abort of a client that does not go by itself

    async def converse(self) -> None:
        """Subscribe, then take changes of the filter until the connection is closed."""
        hub = self.upgrades.hub
        peer = self.remote_address
        name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "?"
        self.subscriber = subscriber = Subscriber(self.transport, self.subscription, self.end, name)
        log.info("subscriber %s connected", name)
        hub.join(subscriber)
        try:
            async for message in self:
                # an answer must not overtake the backlog; nor does who reads nothing get to say much
                while subscriber.backlog is not None and self.state is OPEN:
                    await self.drain()
                if self.state is OPEN:
                    self._hear(message, subscriber)
        finally:
            log.info("subscriber %s left", name)

    def _hear(self, message: str | bytes, subscriber: Subscriber) -> None:
        try:
            self.upgrades.hub.change(subscriber, _subscription(message))
        except SubscriptionError as error:
            self.protocol.send_text(encode(Error(str(error))))
            self.send_data()

    def end(self, code: int, reason: str) -> None:
        """Close without waiting for the client, which may still read what was sent before."""
        if self.state is OPEN:
            self.protocol.fail(code, reason)
            self.send_data()

    def leave(self) -> None:
        """The connection is not open any more: the hub forgets it. May be called twice."""
        if self.subscriber is not None:
            self.upgrades.hub.leave(self.subscriber)
            self.subscriber = None
            # who neither reads nor closes would keep the socket for ever; who is behind gets time to read on
            patience = self.upgrades.hub.stall if self.paused else CLOSE_SECONDS
            self._ending = self.loop.call_later(patience, self.transport.abort)

    def send_data(self) -> None:
        """Every way out of the state OPEN passes through here, after the close frame and before the end of file."""
        if self.state is not OPEN:
            self.leave()
        super().send_data()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Connection.connection_made(self, transport)  # without the task that ServerConnection would start
        self.upgrades.begin(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        if self._ending is not None:
            self._ending.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) <= SLICE:
            super().data_received(data)
            return
        for start in range(0, len(data), SLICE):
            super().data_received(data[start : start + SLICE])

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        now = self.loop.time()
        if now - self._second >= 1:
            self._second, self._frames = now, 0
        self._frames += 1
        if self._frames > self.upgrades.max_frames:
            self.end(FLOODING, f"more than {self.upgrades.max_frames} messages a second")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self.subscriber is not None:
            self.upgrades.hub.pause(self.subscriber)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self.subscriber is not None:
            self.upgrades.hub.resume(self.subscriber)


def _subscription(message: str | bytes) -> Subscription:
    """The filter in a `subscribe` message, which replaces the old one whole."""
    if isinstance(message, bytes):
        raise SubscriptionError("messages are JSON text, and this one is binary")
    try:
        content: Any = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError) as error:  # the latter for brackets, thousands deep
        raise SubscriptionError(f"not JSON: {error}") from None
    if not isinstance(content, dict) or content.pop("type", None) != "subscribe":
        raise SubscriptionError('the only message known here is {"type":"subscribe", …}')
    return parse(content)


def _select(protocol: ServerProtocol, offered: object) -> Subprotocol | None:
    """Ours if the client offers it, none otherwise: it is optional."""
    return SUBPROTOCOL if SUBPROTOCOL in cast(list[str], offered) else None


def _as_json(connection: ServerConnection, request: Request, response: Response) -> None:
    """Our refusals and the library's own are text: make them JSON like every other error."""
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        return
    text = bytes(response.body or b"").decode().strip()
    response.body = error_body(text.partition("\n")[0])
    for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(response.body)))):
        del response.headers[name]
        response.headers[name] = value
