"""The one port: HTTP through uvicorn, WebSockets through handshake.py. All on the event loop's thread.

What this module uses of uvicorn beyond its documentation is listed in tests/contract/test_library_internals.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable, Generator, Mapping, Sequence
from types import TracebackType
from typing import Self, cast

import h11
import uvicorn
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from earmark.config import settings as config
from earmark.server import token_file
from earmark.server.access import Access, CurrentAccess
from earmark.server.bind import ACCEPT_BACKLOG, address, listen, make_room
from earmark.server.handshake import HANDSHAKE_SECONDS, Endpoint, Handshake
from earmark.server.middleware import AccessMiddleware
from earmark.server.origins import Origins
from earmark.server.responses import error_body
from earmark.server.routes import Info, Ready, application

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0  # for clients to answer the close frame at shutdown
LINGER_SECONDS = 2.0  # for a client that was refused to send the rest of its body


class Server:
    """Listens from entering to leaving; `port` is the one chosen where the settings say 0.

    `endpoints` are the WebSockets by path; `on_refused` is called for each handshake that is refused. `ready` returns
    None, or what is missing by name; `info` returns the content of `/info`. `routes` come before the daemon's own.
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
        routes: Sequence[BaseRoute] = (),
        on_refused: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self.host, self.port = address(settings.listen)
        self._access = CurrentAccess(read_access(settings))
        self._handshake = Handshake(endpoints, self._access, on_refused)
        self._app = AccessMiddleware(application(ready, info, routes), self._access)

    @property
    def access(self) -> Access:
        """Who may talk to the daemon. Assigning another Access holds from the next request and handshake on."""
        return self._access.value

    @access.setter
    def access(self, access: Access) -> None:
        self._access.value = access

    @property
    def url(self) -> str:
        """The address as `http://HOST:PORT`."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"

    async def __aenter__(self) -> Self:
        make_room(self._settings.max_subscribers)
        sock = listen(self._settings)
        self.port = sock.getsockname()[1]
        self._uvicorn = _Uvicorn(
            uvicorn.Config(
                self._app,
                loop="none",
                http=_Http,
                ws=cast(type[asyncio.Protocol], self._handshake),  # any callable will do
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=ACCEPT_BACKLOG,
                timeout_graceful_shutdown=1,
            )
        )
        self._serving = asyncio.create_task(self._uvicorn.serve([sock]), name="http")
        await asyncio.shield(self._uvicorn.listening)
        log.info("listening on %s", self.url)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for server in self._uvicorn.servers:
            server.close()
        self._uvicorn.should_exit = True
        await self._handshake.close(CLOSE_SECONDS)
        await self._serving


def read_access(settings: config.Server) -> Access:
    """Return the Access that the settings describe. Raises ConfigError where the file of tokens is wrong."""
    host, _ = address(settings.listen)
    origins = Origins(host, settings.allow_hosts, settings.allow_origins)
    return Access(origins, token_file.read(settings.token_file))


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


class _Http(H11Protocol):
    """uvicorn's HTTP, with a limit on the time to the first request and errors in JSON.

    A client that is refused before its body has come may send on for LINGER_SECONDS, because most clients only read
    the answer when they have sent everything. The rest of the body is thrown away; then the connection is closed.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.loop.call_later(HANDSHAKE_SECONDS, self._give_up)

    def send_400_response(self, msg: str) -> None:
        body = error_body(msg)
        head = f"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(f"{head}connection: close\r\n\r\n".encode() + body)
        self.transport.close()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.conn.their_state is h11.SEND_BODY:
            self.loop.call_later(LINGER_SECONDS, self._cut_off, self.cycle)

    def _cut_off(self, cycle: object) -> None:
        if self.cycle is cycle and self.conn.their_state is h11.SEND_BODY:
            self.transport.abort()

    def _give_up(self) -> None:
        if self.scope is None:  # no request has come; an upgrade is one
            self.transport.abort()
