"""One WebSocket connection: the library's own, with limits on what a client may send and notice of the flow of bytes.

What this module uses of the `websockets` package beyond its documentation is listed in
tests/contract/test_library_internals.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import socket
import struct
import termios
from dataclasses import dataclass
from typing import Protocol, cast

from websockets.asyncio.connection import Connection
from websockets.asyncio.server import Server, ServerConnection
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import OPEN, Event
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from earmark.access.limits import Kind, Sending, TooMany
from earmark.perimeter.unanswered import is_unanswered

WRITE_LIMIT = (64 * 1024, 16 * 1024)  # bytes in the transport: full above the first, free again below the second
PING_SECONDS = 20.0
CLOSE_SECONDS = 2.0  # for a client to answer a close frame
POLICY_VIOLATION = 1008  # RFC 6455, section 7.4.1
TRY_AGAIN_LATER = 1013  # IANA's registry of close codes
PARSE_BYTES = 4096  # parsed between two looks at the rate of frames: a read can hold 40,000 pings

_library_log = logging.getLogger("earmark.websockets")
_library_log.setLevel(logging.ERROR)  # the library logs every connection, and so does Earmark


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits on the clients of an endpoint.

    A client that sends a larger message is closed with 1009. One that sends more than `max_messages_per_second` is
    closed with 1008; without that, the settings limit its messages, and its pings always. Every `ping_seconds` a client
    is sent a ping. If its machine has stopped to acknowledge what is sent, the connection is aborted after that time. A
    client that only reads slowly is alive as long as bytes leave for it; one that neither reads nor says anything for
    `stall_seconds` is closed with 1013. It has as long to read on when its connection is closed. Nothing more is read
    from it while `max_waiting_messages` wait to be received.
    """

    max_message_bytes: int
    max_connections: int
    max_messages_per_second: int | None = None
    stall_seconds: float = 600.0
    ping_seconds: float = PING_SECONDS
    max_waiting_messages: int = 16


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

    def __init__(self, server: IsServing, limits: Limits, sending: Sending, subprotocol: str | None = None) -> None:
        protocol = ServerProtocol(
            subprotocols=[Subprotocol(subprotocol)] if subprotocol else None,
            select_subprotocol=_select,
            max_size=limits.max_message_bytes,
            logger=_library_log,
        )
        super().__init__(
            protocol,
            cast(Server, server),
            ping_interval=None,  # the library would close a slow reader, and with 1011
            close_timeout=CLOSE_SECONDS,
            write_limit=WRITE_LIMIT,
            max_queue=limits.max_waiting_messages,
        )
        self._limits = limits
        self._conversation: Conversation | None = None  # while it is open
        self._sending = sending
        self._held: asyncio.TimerHandle | None = None  # while nothing is read because all clients send too much
        self._received = 0  # bytes
        self._abort: asyncio.TimerHandle | None = None  # of a client that does not close its side
        self._lost = False  # whether the transport has ended

    async def run(self, conversation: Conversation) -> None:
        """Let `conversation` talk until it or the client has enough, and close the connection."""
        watch = self.loop.create_task(self._watch())
        try:
            async with self:
                self._conversation = conversation
                await conversation.converse(self)
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch

    def unsent(self) -> int:
        """Return how many bytes the client's machine has not acknowledged, here and in the kernel."""
        waiting = self.transport.get_write_buffer_size()
        with contextlib.suppress(OSError, ValueError):  # it is closed, or is no socket of TCP
            count = bytearray(4)
            fcntl.ioctl(self._socket.fileno(), termios.TIOCOUTQ, count)
            waiting += int.from_bytes(count, "little" if struct.pack("H", 1)[0] else "big")
        return waiting

    def say(self, text: bytes) -> None:
        """Send a text message without waiting, after everything that was written before."""
        self.protocol.send_text(text)
        self.send_data()

    def end(self, code: int, reason: str) -> None:
        """Close without waiting for the client, which may still read what was sent before."""
        if self.state is OPEN:
            self.protocol.fail(code, reason)
            self.send_data()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """Close as the library does, which aborts the transport in the end, unless that has ended already."""
        if not self._lost:
            await super().close(code, reason)

    def abort(self) -> None:
        """Abort the transport, unless it has ended: asyncio raises AttributeError if it had drained after a close."""
        if not self._lost:
            self.transport.abort()

    def leave(self) -> None:
        """Tell the conversation that the connection is not open any more. May be called twice."""
        if self._conversation is None:
            return
        conversation, self._conversation = self._conversation, None
        conversation.ended()
        # a client that neither reads nor closes would keep the socket for ever
        self._abort = self.loop.call_later(CLOSE_SECONDS, self._abort_unless_read, self.unsent(), self.loop.time())

    def send_data(self) -> None:
        """Every way out of the state OPEN passes through here, after the close frame and before the end of file."""
        if self.state is not OPEN:
            self.leave()
        super().send_data()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._socket: socket.socket = transport.get_extra_info("socket")  # a lost transport with TLS has none
        Connection.connection_made(self, transport)  # without the task that ServerConnection would start

    def connection_lost(self, exc: Exception | None) -> None:
        self.leave()
        self._lost = True
        for timer in (self._abort, self._held):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._received += len(data)
        if len(data) <= PARSE_BYTES:
            super().data_received(data)
            return
        for start in range(0, len(data), PARSE_BYTES):
            super().data_received(data[start : start + PARSE_BYTES])

    def process_event(self, event: Event) -> None:
        super().process_event(event)
        if not isinstance(event, Frame) or event.opcode is Opcode.CLOSE or self.state is not OPEN:
            return
        try:
            kind: Kind = "messages" if event.opcode in DATA_OPCODES else "pings"
            seconds = self._sending.take(kind, self.loop.time(), len(event.data))
        except TooMany as error:
            self.end(POLICY_VIOLATION, str(error))
            return
        if seconds and self._held is None:
            self.transport.pause_reading()
            self._held = self.loop.call_later(seconds, self._read_on)

    def _read_on(self) -> None:
        self._held = None
        if not self.recv_messages.paused:  # else the library reads on when there is room
            self.transport.resume_reading()

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._conversation is not None:
            self._conversation.paused()

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._conversation is not None:
            self._conversation.resumed()

    async def _watch(self) -> None:
        """Ping the client, and end a connection whose client shows no life. Ends by being cancelled."""
        alive = self.loop.time()
        await asyncio.sleep(self._limits.ping_seconds)
        while self.state is OPEN:
            received, unsent = self._received, self.unsent()
            if not self.paused:  # else a ping would wait behind all that is unread
                self.protocol.send_ping(b"")
                self.send_data()
            await asyncio.sleep(self._limits.ping_seconds)
            now = self.loop.time()
            if self._received > received or self.unsent() < unsent:
                alive = now
            elif self._machine_is_gone():
                self.abort()
            elif now - alive >= self._limits.stall_seconds:
                self.end(TRY_AGAIN_LATER, f"no sign of life for {now - alive:.0f} s")

    def _machine_is_gone(self) -> bool:
        """Return whether the kernel has tried for `ping_seconds` to send something and got no answer."""
        if not hasattr(socket, "TCP_INFO"):
            return False
        try:
            info = self._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
        except OSError:
            return False
        return bool(self.unsent()) and is_unanswered(info, self._limits.ping_seconds)

    def _abort_unless_read(self, before: int, moved: float) -> None:
        """Abort a connection that was closed, unless its client still reads what was sent before."""
        left, now = self.unsent(), self.loop.time()
        if left < before:
            moved = now
        if not left or now - moved >= self._limits.stall_seconds or self._machine_is_gone():
            self.abort()
        else:
            self._abort = self.loop.call_later(CLOSE_SECONDS, self._abort_unless_read, left, moved)


def _select(protocol: ServerProtocol, offered: object) -> Subprotocol | None:
    """Choose the endpoint's subprotocol if the client offers it, and none otherwise: it is optional."""
    available = protocol.available_subprotocols or ()
    return next((name for name in available if name in cast(list[str], offered)), None)
