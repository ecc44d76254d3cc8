"""Connections that are accepted, from the listening socket to the protocol that serves them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial

from earmark.access.places import Admission, NoPlace, Places, Refusals, Taken
from earmark.perimeter.entrance import Entrance
from earmark.perimeter.refusal_log import RefusalLog
from earmark.server.responses import error_on_the_wire

log = logging.getLogger(__name__)

ACCEPTS_PER_TURN = 64  # of the event loop, which has other work too
BACK_OFF_SECONDS = 1.0  # when the system has no descriptor for a connection
TLS_SECONDS = 10.0  # for the first byte of a connection with TLS, and again for its handshake
TLS_CLOSE_SECONDS = 30.0  # for the rest of an answer to be read, and the end of TLS to be answered
PLAIN_BYTES = 64 * 1024  # of a request without TLS that are read before it is refused
TLS_HANDSHAKE = 22  # the first byte of each connection with TLS (RFC 8446, 5.1)
NO_TLS = "this port speaks TLS alone: use https:// or wss://"


class Acceptor:
    """Accepts connections and has each served. On the event loop, from its construction to close().

    asyncio's own loop would accept as long as there are descriptors, and then log a traceback for each attempt.
    `serve` makes the protocol of a connection that has found a place; with TLS, when its handshake is done. `tls`
    returns what a new connection speaks TLS with, or None where the port speaks none. Connections from a proxy that
    `entrance` knows are not counted by address: a client behind it is counted when it begins a WebSocket.
    """

    def __init__(
        self,
        sock: socket.socket,
        places: Places,
        serve: Callable[[Admission], asyncio.Protocol],
        tls: Callable[[], ssl.SSLContext | None],
        entrance: Entrance,
        refused: RefusalLog,
    ) -> None:
        self._sock = sock
        self._places = places
        self._serve = serve
        self._tls = tls
        self._entrance = entrance
        self._refused = refused
        self._refusals = Refusals()
        self._loop = asyncio.get_running_loop()
        self._connecting: dict[asyncio.Task[None], socket.socket] = {}
        self._again: asyncio.TimerHandle | None = None
        self._loop.add_reader(sock, self._accept)

    @property
    def refused(self) -> dict[str, int]:
        """How many connections were refused, by reason."""
        return {str(taken): count for taken, count in self._refusals.counts.items()}

    def close(self) -> None:
        """Accept no more connections, and close the socket. May be called twice."""
        if self._sock.fileno() < 0:
            return
        self._loop.remove_reader(self._sock)
        if self._again is not None:
            self._again.cancel()
        self._sock.close()
        for sock in self._connecting.values():
            _hang_up(sock)

    def _accept(self) -> None:
        for _ in range(ACCEPTS_PER_TURN):
            try:
                sock, peer = self._sock.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                self._back_off(error)
                return
            self._admit(sock, peer[0])

    def _back_off(self, error: OSError) -> None:
        """Accept nothing for a while: connections wait in the kernel."""
        self._tell("files", f"connections cannot be accepted: {error.strerror}")
        self._loop.remove_reader(self._sock)
        self._again = self._loop.call_later(BACK_OFF_SECONDS, self._loop.add_reader, self._sock, self._accept)

    def _admit(self, sock: socket.socket, address: str) -> None:
        sock.setblocking(False)
        try:
            place = self._places.take("" if self._entrance.is_proxy(address) else address)
        except NoPlace as error:
            self._tell(error.reason, f"a connection from {address} was refused: {error}")
            with sock, contextlib.suppress(OSError):
                sock.send(error_on_the_wire(str(error), 503, {"retry-after": "5"}))
                sock.shutdown(socket.SHUT_WR)
            return
        tls = self._tls()
        task = self._loop.create_task(self._connect(sock, place, tls, address))
        self._connecting[task] = sock
        task.add_done_callback(self._connecting.pop)
        if tls is not None:
            place.wait(partial(_hang_up, sock))

    async def _connect(self, sock: socket.socket, place: Admission, tls: ssl.SSLContext | None, address: str) -> None:
        """Hand the socket to its protocol. Ends in the next turns of the loop, or with TLS within TLS_SECONDS twice."""
        serve = partial(self._serve, place)
        try:
            if tls is None:
                await self._loop.connect_accepted_socket(serve, sock)
            elif await self._speaks_tls(sock):
                await self._loop.connect_accepted_socket(
                    serve, sock, ssl=tls, ssl_handshake_timeout=TLS_SECONDS, ssl_shutdown_timeout=TLS_CLOSE_SECONDS
                )
            else:
                sock.recv(PLAIN_BYTES)  # else the answer would be lost with what was not read
                sock.send(error_on_the_wire(NO_TLS, 400))
                sock.shutdown(socket.SHUT_WR)
                raise ConnectionAbortedError(NO_TLS)
        except OSError as error:  # it was closed already, or is none with TLS
            log.debug("a connection was closed before it began: %s", error)
            if isinstance(error, ssl.SSLError | ConnectionAbortedError):
                self._refused.add("tls", address)
            place.release()
            sock.close()

    async def _speaks_tls(self, sock: socket.socket) -> bool:
        """Wait for the first byte, and return whether it begins TLS. It stays to be read.

        A connection that sends nothing so costs a socket, and not yet the buffers of TLS.
        """
        came = self._loop.create_future()
        self._loop.add_reader(sock, _set, came)
        try:
            async with asyncio.timeout(TLS_SECONDS):
                await came
        finally:
            self._loop.remove_reader(sock)
        first = sock.recv(1, socket.MSG_PEEK)
        if not first:
            raise ConnectionResetError("it sent nothing")
        return first[0] == TLS_HANDSHAKE

    def _tell(self, reason: Taken, sentence: str) -> None:
        count = self._refusals.add(reason, self._loop.time())
        if count:
            log.warning("%s%s", sentence, f" ({count} since the last line about it)" if count > 1 else "")


def _hang_up(sock: socket.socket) -> None:
    """Have a connection that is being made end: whoever waits for its first bytes finds the end of them."""
    with contextlib.suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _set(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
