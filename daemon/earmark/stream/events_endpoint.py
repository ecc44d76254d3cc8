"""The endpoint of the event stream: what a subscriber may say, and how it is connected to the hub."""

from __future__ import annotations

import asyncio
import contextlib
import logging

from websockets.protocol import OPEN

from earmark.broadcast.hub import Hub
from earmark.broadcast.subscriber import Subscriber
from earmark.errors import RequestError, SubscriptionError
from earmark.history.position import Position
from earmark.protocol.endpoints import SUBPROTOCOL
from earmark.protocol.events import Error, encode
from earmark.server.connection import PING_SECONDS, Limits, WebSocketConnection
from earmark.server.handshake import Endpoint, Query
from earmark.stream.replayer import Replayer
from earmark.stream.subscribe_request import SubscribeRequest, parse_message, parse_query

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024  # subscribers only send filters
INTERNAL_ERROR = 1011  # RFC 6455, section 7.4.1


def events_endpoint(
    hub: Hub, replayer: Replayer, max_subscribers: int, *, ping_seconds: float = PING_SECONDS
) -> Endpoint:
    """Return the endpoint at which clients subscribe to the events of `hub`, and get those of the past before them."""

    def accept(query: Query) -> SubscriberConversation:
        try:
            return SubscriberConversation(hub, replayer, replayer.checked(parse_query(query)))
        except SubscriptionError as error:
            raise RequestError(400, str(error)) from None

    return Endpoint(
        "events",
        Limits(MAX_MESSAGE_BYTES, max_subscribers, stall_seconds=hub.stall, ping_seconds=ping_seconds),
        accept,
        f"there are {max_subscribers} subscribers already, as many as server.max_subscribers allows",
        "subscribe",
        SUBPROTOCOL,
    )


class SubscriberConversation:
    """One subscriber: events go out through the replayer and the hub, changes of the filter come in."""

    def __init__(self, hub: Hub, replayer: Replayer, request: SubscribeRequest) -> None:
        self._hub = hub
        self._replayer = replayer
        self._request = request  # of the handshake
        self._subscriber: Subscriber | None = None
        self._replay: asyncio.Task[None] | None = None

    async def converse(self, connection: WebSocketConnection) -> None:
        """Subscribe, then take changes of the filter until the connection is closed."""
        peer = connection.remote_address
        name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "?"
        self._subscriber = subscriber = Subscriber(
            connection.transport, self._request.filter, connection.end, name, connection.unsent
        )
        log.info("subscriber %s connected", name)
        if self._request.since is None:
            self._hub.join(subscriber)
        else:
            self._hub.hold(subscriber)
            self._hub.greet(subscriber)
            self._begin(self._request.since, subscriber, connection)
        try:
            async for message in connection:
                # a reply must not overtake the backlog, and a client that reads nothing must not make us read on
                while (subscriber.backlog is not None or subscriber.paused) and connection.state is OPEN:
                    await connection.drain()
                if connection.state is OPEN:
                    self._change(message, subscriber, connection)
                await asyncio.sleep(0)  # others have their turn between two messages, of which many may wait here
        finally:
            log.info("subscriber %s left", name)
            if self._replay is not None:
                self._replay.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._replay

    def paused(self) -> None:
        if self._subscriber is not None:
            self._hub.pause(self._subscriber)

    def resumed(self) -> None:
        if self._subscriber is not None:
            self._hub.resume(self._subscriber)

    def ended(self) -> None:
        if self._subscriber is not None:
            self._hub.leave(self._subscriber)

    def _change(self, message: str | bytes, subscriber: Subscriber, connection: WebSocketConnection) -> None:
        try:
            request = self._replayer.checked(parse_message(message))
        except SubscriptionError as error:
            connection.say(encode(Error(str(error))))
            return
        if request.since is not None:
            self._hub.hold(subscriber)
        self._hub.change(subscriber, request.filter)
        if request.since is not None:
            self._begin(request.since, subscriber, connection)

    def _begin(self, since: Position, subscriber: Subscriber, connection: WebSocketConnection) -> None:
        """Replay from here, in a task, because the client may say more meanwhile."""

        async def replay() -> None:
            try:
                await self._replayer.replay(subscriber, since, connection.drain)
            except Exception:
                log.exception("the replay to subscriber %s failed", subscriber.name)
                connection.end(INTERNAL_ERROR, "internal error")

        if self._replay is not None:
            self._replay.cancel()
        self._replay = asyncio.get_running_loop().create_task(replay(), name="replay")
