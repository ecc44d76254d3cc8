"""The listening socket: where it may be, and the errors that explain why it cannot be had."""

from __future__ import annotations

import errno
import ipaddress
import logging
import resource
import socket

from earmark.config import settings as config
from earmark.errors import ConfigError, ServerError

log = logging.getLogger(__name__)

SEND_BUFFER_BYTES = 64 * 1024  # per socket in the kernel, which would else hide megabytes from the bounds here
ACCEPT_BACKLOG = 2048  # connections waiting to be accepted
HTTP_CONNECTIONS = 512  # besides subscribers
OWN_FILES = 256  # descriptors that no connection gets: for devices, the worker, recordings, journals


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
