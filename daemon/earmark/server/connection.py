"""One WebSocket connection: the library's own, with limits on what a client may send and notice of the flow of bytes.

What this module uses of the `websockets` package beyond its documentation is listed in
tests/contract/test_library_internals.py.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Protocol, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import Frame
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

WRITE_LIMIT = (64 * 1024, 16 * 1024)  # bytes in the transport: full above the first, free again below the second
PING_SECONDS = 20.0
CLOSE_SECONDS = 2.0  # for a client to answer a close frame
POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1
PARSE_BYTES = 4096  # parsed between two looks at the rate of frames: a read can hold 40,000 pings

_library_log = logging.getLogger("earmark.websockets")
_library_log.setLevel(logging.ERROR)  # the library logs every connection, and so does Earmark


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the clients of an endpoint.

    A client that sends a larger message is closed with 1009, one that sends more messages and pings a second with
    1008. A client that has fallen behind when its connection is closed gets `stall_seconds` to read on.
    """

    max_message_bytes: int
    max_frames_per_second: int
    max_connections: int
    stall_seconds: float = 30.0


class Conversation(Protocol):
    """An endpoint's side of one connection. Everything is called on the event loop."""

    async def converse(self, connection: WebSocketConnection) -> None:
        """Talk with the client. Called once, when the connection is open; returning from it closes the connection."""

    def paused(self) -> None:
        """Take notice that the transport is full. Only called between the start of converse() and ended()."""

    def resumed(self) -> None:
        """Take notice that the transport has room again."""

    def ended(self) -> None:
        """Write nothing any more. Called once, before a close frame is followed by the end of the stream."""


class IsServing(Protocol):
    """The one thing that the library asks of its server: whether a handshake may still succeed."""

    def is_serving(self) -> bool: ...


class WebSocketConnection(ServerConnection):
    """The library's connection without the library's server. The handshake task runs it."""

    def __init__(self, server: IsServing, limits: Limits, subprotocol: str | None = None) -> None:
        protocol = ServerProtocol(
            subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
            select_subprotocol=_select,
            max_size=limits.max_message_bytes,
            logger=_library_log,
        )
        super().__init__(
            protocol,
            cast(Server, server),
            ping_interval=PING_SECONDS,
            ping_timeout=PING_SECONDS,
            close_timeout=CLOSE_SECONDS,
            write_limit=WRITE_LIMIT,
        )
        self._limits = limits
        self._conversation: Conversation | None = None  # while it is open
        self._second = 0.0  # when the second began in which frames are counted
        self._frames = 0
        self._abort: asyncio.TimerHandle | None = None  # of a client that does not close its side

    async def run(self, conversation: Conversation) -> None:
        """Let `conversation` talk until it or the client has enough, and close the connection."""
        self.start_keepalive()
        async with self:
            self._conversation = conversation
            await conversation.converse(self)

    def say(self, text: bytes) -> None:
        """Send a text message without waiting, after everything that was written before."""
        self.protocol.send_text(text)
        self.send_data()

    def end(self, code: int, reason: str) -> None:
        """Close without waiting for the client, which may still read what was sent before."""
        if self.state is OPEN:
            self.protocol.fail(code, reason)
            self.send_data()

    def leave(self) -> None:
        """Tell the conversation that the connection is not open any more. May be called twice."""
        if self._conversation is None:
            return
        conversation, self._conversation = self._conversation, None
        conversation.ended()
        # a client that neither reads nor closes would keep the socket for ever
        timeout = self._limits.stall_seconds if self.paused else CLOSE_SECONDS
        self._abort = self.loop.call_later(timeout, self.transport.abort)

    def send_data(self) -> None:
        """Every way out of the state OPEN passes through here, after the close frame and before the end of file."""
        if self.state is not OPEN:
            self.leave()
        super().send_data()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        Connection.connection_made(self, transport)  # without the task that ServerConnection would start

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        if self._abort is not None:
            self._abort.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if len(data) <= PARSE_BYTES:
            super().data_received(data)
            return
        for start in range(0, len(data), PARSE_BYTES):
            super().data_received(data[start : start + PARSE_BYTES])

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if not isinstance(event, Frame):
            return
        now = self.loop.time()
        if now - self._second >= 1:
            self._second, self._frames = now, 0
        self._frames += 1
        if self._frames > self._limits.max_frames_per_second:
            self.end(POLICY_VIOLATION, f"more than {self._limits.max_frames_per_second} messages a second")

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._conversation is not None:
            self._conversation.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._conversation is not None:
            self._conversation.resumed()


def _select(protocol: ServerProtocol, offered: object) -> Subprotocol | None:
    """Choose the endpoint's subprotocol if the client offers it, and none otherwise: it is optional."""
    available = protocol.available_subprotocols or ()
    return next((name for name in available if name in cast(list[str], offered)), None)
