"""The one port: HTTP through uvicorn, WebSockets through handshake.py. All on the event loop's thread.

What this module uses of uvicorn beyond its documentation is listed in tests/contract/test_library_internals.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Generator, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

import msgspec
import uvicorn
from starlette.routing import BaseRoute

from earmark.access import token_file
from earmark.access.access import Access
from earmark.access.audit import Audit
from earmark.access.limits import Arrivals, PerSecond, Rate, Traffic
from earmark.access.origins import Origins
from earmark.access.peers import network
from earmark.access.places import Admission, Places
from earmark.config import settings as config
from earmark.errors import ConfigError, ServerError
from earmark.perimeter import certificate
from earmark.perimeter.bind import address, listen, make_room, place
from earmark.perimeter.certificate import LOOK_SECONDS, Certificate, Pair
from earmark.perimeter.entrance import Entrance
from earmark.perimeter.refusal_log import RefusalLog
from earmark.server.acceptor import Acceptor
from earmark.server.handshake import Endpoint, Handshake, Refused
from earmark.server.http import Deadlines, HttpConnection
from earmark.server.middleware import AccessMiddleware
from earmark.server.routes import Info, Live, Ready, application

log = logging.getLogger(__name__)

DEADLINES = Deadlines()
CLOSE_SECONDS = 1.0  # for clients to answer the close frame at shutdown


class ServerStats(msgspec.Struct, frozen=True):
    """Connections, subscribers included: `open` now, and `refused` since the start because there was no place.

    `responses` counts the answers to HTTP requests by status. `flooding` counts the WebSockets that were closed because
    their client sent too much, by the setting of `[server]` that it was over, and `held_back` how often one was read
    more slowly because all clients together sent too much. `refusals` counts the refused connections by what was taken:
    the places of their `address`, those of `all`, or the `files` that this process may open. `refused_requests` counts
    the requests, handshakes and TLS handshakes that were refused, by reason. `certificate_expires` is when the
    certificate of the port expires, in seconds since 1970; None without TLS.
    """

    open: int
    refused: int
    responses: dict[int, int]
    flooding: dict[str, int] = {}
    held_back: int = 0
    refusals: dict[str, int] = {}
    refused_requests: dict[str, int] = {}
    certificate_expires: float | None = None


class Server:
    """Listens from entering to leaving; `port` is the one chosen where the settings say 0.

    `endpoints` are the WebSockets by path; `on_refused` gets the HTTP status of each handshake that is refused. `ready`
    returns None, or what is missing by name; `info` returns the content of `/info`. `routes` precede the daemon's own.
    `audit` is told of refused changes.
    `certificate_seconds` are between two looks at the files of the certificate.
    `max_connections` is as many as the settings and the system allow, if it is not given.
    Entering raises ServerError where the port cannot be had or the address is not safe; constructing, ConfigError.
    Leaving takes no new connections, closes WebSockets with 1001, aborts the rest, and takes less than three seconds.
    """

    def __init__(
        self,
        settings: config.Server,
        endpoints: Mapping[str, Endpoint],
        *,
        ready: Ready,
        info: Info,
        live: Live = lambda: (),
        routes: Sequence[BaseRoute] = (),
        on_refused: Refused = lambda status: None,
        audit: Audit | None = None,
        deadlines: Deadlines = DEADLINES,
        max_connections: int | None = None,
        certificate_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._settings = settings
        self._deadlines = deadlines
        self._max_connections = max_connections
        self._certificate_seconds = certificate_seconds
        self._places = Places(0, settings.max_per_address)
        self._acceptor: Acceptor | None = None
        self._watching: asyncio.Task[None] | None = None  # the files of the certificate
        self.host, self.port = address(settings.listen)
        self._entrance = Entrance(read_access(settings))
        self._refused = RefusalLog()
        pair = read_pair(settings)
        self._certificate = None if pair is None else Certificate(pair)
        self._traffic = Traffic(
            PerSecond(settings.messages_per_second, settings.messages_per_address, settings.messages_per_client),
            PerSecond(settings.pings_per_second, settings.pings_per_address, settings.pings_per_client),
        )
        arrivals = Arrivals(
            handshakes(settings.handshakes_per_second, settings.max_subscribers),
            handshakes(settings.handshakes_per_address, settings.max_per_address),
        )
        self._handshake = Handshake(endpoints, self._entrance, self._refused, arrivals, self._traffic, on_refused)
        app = application(ready, info, routes, live)
        self.routes: tuple[BaseRoute, ...] = tuple(app.routes)
        self._app = AccessMiddleware(app, self._entrance, self._refused, audit or Audit())

    @property
    def access(self) -> Access:
        """Who may talk to the daemon. Assigning another Access holds from the next request and handshake on."""
        return self._entrance.access

    @access.setter
    def access(self, access: Access) -> None:
        self._entrance.access = access

    @property
    def url(self) -> str:
        """The address as `http://HOST:PORT`, or with https where the port speaks TLS."""
        scheme = "http" if self._certificate is None else "https"
        return f"{scheme}://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    def renew(self, pair: Pair | None) -> Pair | None:
        """Put another certificate in force for new connections, if there is TLS. Returns that before, if it differs."""
        return None if self._certificate is None or pair is None else self._certificate.replace(pair)

    def stats(self) -> ServerStats:
        """Return how many connections there are, what was refused or closed, and how requests were answered."""
        refusals = self._acceptor.refused if self._acceptor else {}
        traffic = self._traffic
        return ServerStats(
            len(self._places),
            sum(refusals.values()),
            dict(self._app.responses),
            dict(traffic.closed),
            traffic.held,
            refusals,
            self._refused.totals,
            None if self._certificate is None else self._certificate.expires,
        )

    async def __aenter__(self) -> Self:
        possible = make_room(self._settings.max_subscribers)
        self._places.max_total = possible if self._max_connections is None else self._max_connections
        sock = listen(self._settings)
        self.port = sock.getsockname()[1]
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self._app,
                loop="none",
                ws=cast(type[asyncio.Protocol], self._handshake),  # any callable will do
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=self._deadlines.idle,
                timeout_graceful_shutdown=1,
            )
        )
        self._serving = asyncio.create_task(self._uvicorn.serve([]), name="http")  # it listens on nothing of its own
        await asyncio.shield(self._uvicorn.listening)
        self._acceptor = Acceptor(sock, self._places, self._serve, self._tls, self._entrance, self._refused)
        if self._certificate is not None:
            self._watching = asyncio.create_task(self._certificate.watch(self._certificate_seconds), name="certificate")
        log.info("listening on %s", self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._acceptor is not None
        self._acceptor.close()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait([self._watching])
        self._uvicorn.should_exit = True
        await self._handshake.close(CLOSE_SECONDS)
        await self._serving
        self._refused.close()

    def drain(self) -> None:
        """Take no new WebSocket connections, and go on answering HTTP: `/ready` says why until the port is closed."""
        self._handshake.drain()

    def _serve(self, place: Admission) -> HttpConnection:
        return HttpConnection(self._uvicorn.config, self._uvicorn.server_state, place, self._deadlines)

    def _tls(self) -> ssl.SSLContext | None:
        return None if self._certificate is None else self._certificate.context


def read_pair(settings: config.Server) -> Pair | None:
    """Return the certificate and the key that the settings name. Raises ConfigError where they are wrong."""
    return certificate.read(settings.certificate_file, settings.key_file)


def handshakes(per_second: int, connections: int) -> Rate:
    """Return the rate at which so many clients may come, and at once after the daemon was started again."""
    return Rate(per_second, burst=max(per_second, connections))


def read_access(settings: config.Server) -> Access:
    """Return the Access that the settings describe. Raises ConfigError where the file of tokens is wrong."""
    host, _ = address(settings.listen)
    origins = Origins(host, settings.allow_hosts, settings.allow_origins)
    proxies = tuple(map(network, settings.trusted_proxies))
    return Access(origins, token_file.read(settings.token_file), proxies, settings.prefix)


def read_entry(settings: config.Server) -> tuple[Access, Pair | None]:
    """Return both for settings that are read again. Raises ConfigError, also if the address is not safe with them."""
    try:
        place(settings)
    except ServerError as error:
        raise ConfigError(str(error)) from None
    return read_access(settings), read_pair(settings)


class _Uvicorn(uvicorn.Server):
    """uvicorn without its signal handlers, and with a way to wait for its start."""

    def __init__(self, settings: uvicorn.Config) -> None:
        super().__init__(settings)
        self.listening: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        try:
            await super().startup(sockets)
        except Exception as error:
            self.listening.set_exception(error)
            raise
        self.listening.set_result(None)
