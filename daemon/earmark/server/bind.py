"""The listening socket: where it may be, the errors that explain why it cannot be had, and who is let in."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import resource
import socket
import ssl
from collections.abc import Callable
from functools import partial

from earmark.access.places import Admission, NoPlace, Places, Refusals, Taken
from earmark.config import settings as config
from earmark.errors import ConfigError, ServerError
from earmark.perimeter.entrance import Entrance
from earmark.perimeter.refusal_log import RefusalLog
from earmark.server.responses import error_on_the_wire

log = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 64 * 1024  # per socket in the kernel, which would else hide megabytes from the bounds here
ACCEPT_BACKLOG = 2048  # connections waiting to be accepted
ACCEPTS_PER_TURN = 64  # of the event loop, which has other work too
BACK_OFF_SECONDS = 1.0  # when the system has no descriptor for a connection
HTTP_CONNECTIONS = 512  # besides subscribers
TLS_SECONDS = 10.0  # for the first byte of a connection with TLS, and again for its handshake
TLS_CLOSE_SECONDS = 30.0  # for the rest of an answer to be read, and the end of TLS to be answered
PLAIN_BYTES = 64 * 1024  # of a request without TLS that are read before it is refused
TLS_HANDSHAKE = 22  # the first byte of each connection with TLS (RFC 8446, 5.1)
OWN_FILES = 256  # descriptors that no connection gets: for devices, the worker, recordings, journals
NO_TLS = "this port speaks TLS alone: use https:// or wss://"


def address(listen: str) -> tuple[str, int]:
    """Return host and port of `HOST:PORT` or `[ADDRESS]:PORT`. Raises ConfigError."""
    host, colon, port = listen.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        colon = ""  # an IPv6 address needs its brackets
    if not colon or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ConfigError(f"server.listen: {listen!r} is not HOST:PORT, for example 127.0.0.1:8765")
    return host, int(port)


def place(settings: config.Server) -> tuple[int, tuple[str, int]]:
    """Return the family and the address to bind. Raises ServerError if there is no such address or it is not safe."""
    host, port = address(settings.listen)
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except UnicodeError:  # a label of more than 63 characters, or an empty one
        raise ServerError(f"server.listen: {host!r} is not the name of a host") from None
    except OSError as error:
        raise ServerError(_explained(error, host, port)) from None
    # if a name has both, take IPv4, because 127.0.0.1 in a client's URL reaches that
    family, _, _, _, where = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    if not settings.insecure and not ipaddress.ip_address(str(where[0]).partition("%")[0]).is_loopback:
        _check_exposed(settings)
    return family, (str(where[0]), port)


def _check_exposed(settings: config.Server) -> None:
    """Refuse an address that other machines reach, unless tokens say who may connect and TLS hides what is said."""
    reached = f"server.listen: {settings.listen} can be reached from other machines"
    if not settings.token_file:
        raise ServerError(
            f"{reached}, and everybody there could listen along; listen on 127.0.0.1, set server.token_file and "
            "server.certificate_file, or server.insecure = true if you want that"
        )
    if not settings.certificate_file:
        raise ServerError(
            f"{reached} and is not encrypted, so the token and all that is heard can be read on the way; listen on "
            "127.0.0.1 behind a proxy that speaks TLS, set server.certificate_file, or server.insecure = true if you "
            "want that"
        )


def is_free(settings: config.Server) -> bool:
    """Return whether nobody listens at the address now. Raises ServerError as listen() does for other reasons."""
    family, where = place(settings)
    try:
        _create(family, where).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise ServerError(_explained(error, *address(settings.listen))) from None
    return True


def listen(settings: config.Server) -> socket.socket:
    """Return the listening socket. Raises ServerError, with a remedy."""
    family, where = place(settings)
    try:
        sock = _create(family, where)
    except OSError as error:
        raise ServerError(_explained(error, *address(settings.listen))) from None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)  # accepted sockets inherit it
    # asyncio does not set this for them: an event right behind another would wait 40 ms for the first one's ACK
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setblocking(False)
    return sock


def _create(family: int, where: tuple[str, int]) -> socket.socket:
    """Return a socket that listens at `where`. All IPv6 addresses are all addresses where the system can do that."""
    both = where[0] == "::" and socket.has_dualstack_ipv6()
    if where[0] == "::" and not both:
        log.warning("server.listen: on this system [::] is reached over IPv6 alone")
    return socket.create_server(where, family=family, backlog=ACCEPT_BACKLOG, dualstack_ipv6=both)


def make_room(subscribers: int) -> int:
    """Return how many connections there may be, with room for all subscribers as far as that is allowed.

    Raises this process's limit of open files for them, and keeps OWN_FILES of it for the daemon: connections that use
    up all descriptors would otherwise keep it from opening a microphone again, or from starting the model process.
    """
    connections = subscribers + HTTP_CONNECTIONS
    wanted = connections + OWN_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    possible = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (possible, hard))
    if possible < wanted:
        log.warning("%d open files are allowed: too few for server.max_subscribers = %d", possible, subscribers)
    return max(possible - OWN_FILES, possible // 2) if possible < wanted else connections


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


def _explained(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return (
                f"server.listen: port {port} on {host or 'all addresses'} is taken, perhaps by another earmarkd; "
                "stop that program, or choose another port, such as --listen 127.0.0.1:0 for a free one"
            )
        case errno.EACCES:
            return f"server.listen: this user may not listen on port {port}; choose one above 1023"
        case errno.EADDRNOTAVAIL:
            return f"server.listen: {host} is not an address of this machine"
        case _:
            return f"server.listen: cannot listen on {host}:{port}: {error.strerror or error}"
