"""One HTTP connection: uvicorn's own, with deadlines on all that a client may leave undone, and errors in JSON.

What this module uses of uvicorn beyond its documentation is listed in tests/contract/test_library_internals.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from earmark.access.places import Admission
from earmark.perimeter.framing import Framing
from earmark.server.responses import error_on_the_wire

MAX_EVENT_BYTES = 64 * 1024  # of the head of a request that has not come whole
READ_BYTES = 32 * 1024  # that are read in one go, so that a longer head is found before it is read
PLACE = "place"  # its key in the state that uvicorn hands to the WebSocket hook


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds after which a connection is cut off.

    `head` is for the head of a request to come whole, from the connection or from the head's first byte. `idle` is
    between requests, longer than clients keep a connection for: the client that closes first never meets a closed one.
    `linger` is for a client that was refused to send the rest of its body, because most clients only read the answer
    when they have sent everything. `unread` is for a client that reads nothing of its answer.
    """

    head: float = 10.0
    idle: int = 75
    linger: float = 2.0
    unread: float = 30.0


class HttpConnection(H11Protocol):
    """An HTTP connection and its place."""

    def __init__(self, config: uvicorn.Config, state: ServerState, place: Admission, deadlines: Deadlines) -> None:
        super().__init__(config, state, {PLACE: place})
        self.conn: Framing = Framing(MAX_EVENT_BYTES)
        self._place = place
        self._deadlines = deadlines
        self._late: asyncio.TimerHandle | None = None  # while the head of a request has to come
        self._unread: asyncio.TimerHandle | None = None  # while an answer waits for its reader

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._place.work()  # until now it waited for TLS
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._forget_deadlines()
        self._place.release()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._place.work()
        for start in range(0, len(data), READ_BYTES):
            super().data_received(data[start : start + READ_BYTES])
            if self.transport.is_closing() or self.transport.get_protocol() is not self:
                break
        self._look()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._forget_deadlines()  # the handshake has its own
        super().handle_websocket_upgrade(event)

    def send_400_response(self, msg: str) -> None:
        self.transport.write(error_on_the_wire(self.conn.complaint or msg, 400))
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(self._deadlines.linger, self._cut_off, self.cycle)
        self._look()

    def timeout_keep_alive_handler(self) -> None:
        super().timeout_keep_alive_handler()
        self._watch_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_reader()

    def _look(self) -> None:
        """Set the deadline that fits the state of the connection."""
        if self.transport.get_protocol() is not self:
            return  # it was upgraded
        if self.transport.is_closing():
            self._watch_reader()
        elif self.conn.their_state is not h11.IDLE:  # a request is under way
            self._forget_head()
        elif self.conn.trailing_data[0]:
            self._expect_head()
        else:
            self._forget_head()  # uvicorn's own timer runs
            self._place.wait(self.transport.abort)

    def _expect_head(self) -> None:
        """Begin to wait for the head of a request. More bytes do not give more time."""
        self._place.wait(self.transport.abort)
        if self._late is None:
            self._late = self.loop.call_later(self._deadlines.head, self.transport.abort)

    def _forget_head(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _watch_reader(self) -> None:
        """Abort the connection if nothing of what waits in it is read; bytes that leave give more time."""
        waiting = self.transport.get_write_buffer_size()
        if waiting and self._unread is None:
            self._unread = self.loop.call_later(self._deadlines.unread, self._check_reader, waiting)

    def _check_reader(self, before: int) -> None:
        self._unread = None
        if self.transport.get_write_buffer_size() >= before:
            self.transport.abort()
        else:
            self._watch_reader()

    def _cut_off(self, cycle: object) -> None:
        if self.cycle is cycle and self.conn.their_state is h11.SEND_BODY:
            self.transport.abort()

    def _forget_deadlines(self) -> None:
        self._forget_head()
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None


def place_in(state: Mapping[str, Any]) -> Admission:
    """Return the place of the connection that uvicorn hands over together with `state`."""
    return cast(Admission, state[PLACE])
