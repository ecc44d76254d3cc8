"""The subscribers of a gateway, as connections that can all be closed at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from earmark.server.connection import Conversation, WebSocketConnection
from earmark.server.handshake import GOING_AWAY, Endpoint, Query


class Subscribers:
    """The connections of one endpoint. On the event loop."""

    def __init__(self) -> None:
        self._connections: set[WebSocketConnection] = set()

    def of(self, endpoint: Endpoint, check: Callable[[], None]) -> Endpoint:
        """Return the endpoint with its connections known here. `check` raises RequestError where none may come now."""
        accept = endpoint.accept

        def accept_known(query: Query) -> Conversation:
            check()
            return _Known(accept(query), self._connections)

        return replace(endpoint, accept=accept_known)

    def come_again(self, why: str) -> None:
        """Close all connections, with a code at which clients connect again."""
        for connection in tuple(self._connections):
            connection.end(GOING_AWAY, why)


class _Known:
    """A Conversation whose connection is in `connections` while it is open."""

    def __init__(self, conversation: Conversation, connections: set[WebSocketConnection]) -> None:
        self._conversation = conversation
        self._connections = connections
        self.paused = conversation.paused
        self.resumed = conversation.resumed
        self.ended = conversation.ended

    async def converse(self, connection: WebSocketConnection) -> None:
        self._connections.add(connection)
        try:
            await self._conversation.converse(connection)
        finally:
            self._connections.discard(connection)
