"""The endpoint of the event stream: what a subscriber may say, and how it is connected to the hub."""

from __future__ import annotations

import logging
from typing import Any

import msgspec
from websockets.protocol import OPEN

from earmark.broadcast.hub import Hub
from earmark.broadcast.known import Known
from earmark.broadcast.subscriber import Subscriber
from earmark.broadcast.subscription import Subscription, parse
from earmark.errors import RequestError, SubscriptionError
from earmark.protocol.endpoints import SUBPROTOCOL
from earmark.protocol.events import Error, encode
from earmark.server.connection import Limits, WebSocketConnection
from earmark.server.handshake import Endpoint, Query

log = logging.getLogger(__name__)

MAX_MESSAGE_BYTES = 64 * 1024  # subscribers only send filters
MAX_FRAMES_PER_SECOND = 100


def events_endpoint(hub: Hub, max_subscribers: int, max_frames_per_second: int = MAX_FRAMES_PER_SECOND) -> Endpoint:
    """Return the endpoint at which clients subscribe to the events of `hub`."""

    def accept(query: Query) -> SubscriberConversation:
        try:
            return SubscriberConversation(hub, _checked(hub, parse(query)))
        except SubscriptionError as error:
            raise RequestError(400, str(error)) from None

    return Endpoint(
        "events",
        Limits(MAX_MESSAGE_BYTES, max_frames_per_second, max_subscribers, hub.stall),
        accept,
        f"there are {max_subscribers} subscribers already, as many as server.max_subscribers allows",
        "subscribe",
        SUBPROTOCOL,
    )


class SubscriberConversation:
    """One subscriber: events go out through the hub, changes of the filter come in."""

    def __init__(self, hub: Hub, subscription: Subscription) -> None:
        self._hub = hub
        self._subscription = subscription  # of the handshake
        self._subscriber: Subscriber | None = None

    async def converse(self, connection: WebSocketConnection) -> None:
        """Subscribe, then take changes of the filter until the connection is closed."""
        peer = connection.remote_address
        name = f"{peer[0]}:{peer[1]}" if isinstance(peer, tuple) else "?"
        self._subscriber = subscriber = Subscriber(
            connection.transport, self._subscription, connection.end, name, connection.unsent
        )
        log.info("subscriber %s connected", name)
        self._hub.join(subscriber)
        try:
            async for message in connection:
                # a reply must not overtake the backlog, and a client that reads nothing must not make us read on
                while subscriber.backlog is not None and connection.state is OPEN:
                    await connection.drain()
                if connection.state is OPEN:
                    self._change(message, subscriber, connection)
        finally:
            log.info("subscriber %s left", name)

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
            self._hub.change(subscriber, _checked(self._hub, _subscription(message)))
        except SubscriptionError as error:
            connection.say(encode(Error(str(error))))


def _checked(hub: Hub, subscription: Subscription) -> Subscription:
    """Return the filter. Raises SubscriptionError where it asks for a name that the hub's hello does not tell."""
    Known.of(hub.hello()).check(subscription)
    return subscription


def _subscription(message: str | bytes) -> Subscription:
    """Return the filter in a `subscribe` message, which replaces the old one whole. Raises SubscriptionError."""
    if isinstance(message, bytes):
        raise SubscriptionError("messages are JSON text, and this one is binary")
    try:
        content: Any = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError) as error:  # the latter for brackets, thousands deep
        raise SubscriptionError(f"not JSON: {error}") from None
    if not isinstance(content, dict) or content.pop("type", None) != "subscribe":
        raise SubscriptionError('the only message known here is {"type":"subscribe", …}')
    return parse(content)
