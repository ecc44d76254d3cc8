"""The one port: HTTP through uvicorn, upgrades handed to `upgrade.py`. All on the event loop's thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Generator, Sequence
from types import TracebackType
from typing import Self, cast

import h11
import uvicorn
from starlette.routing import BaseRoute
from uvicorn.protocols.http.h11_impl import H11Protocol

from earmark.broadcast.hub import Hub
from earmark.config import settings as config
from earmark.server import token_file as tokenfile
from earmark.server.access import Access
from earmark.server.bind import ACCEPT_BACKLOG, address, listen, make_room
from earmark.server.middleware import AccessMiddleware
from earmark.server.responses import error_body
from earmark.server.routes import Info, Ready, application
from earmark.server.websocket import HANDSHAKE_SECONDS, MAX_FRAMES, Handshake

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0  # for subscribers to say goodbye at shutdown
LINGER_SECONDS = 2.0  # for a client that was refused to end what it sends


class Server:
    """Listens from entering to leaving; `port` is the one chosen where the settings say 0.

    `ready` gives None, or what is missing by name; `info` what `/info` shows, which should include `hub.stats()`.
    `routes` come before our own. A subscriber that sends more than `max_frames` messages and pings a second is closed.
    Entering raises ServerError where the port cannot be had or the address is not safe; constructing, ConfigError.
    Leaving takes no new connections, closes subscribers with 1001, aborts the rest, and takes less than three seconds.
    """

    def __init__(
        self,
        settings: config.Server,
        hub: Hub,
        *,
        ready: Ready,
        info: Info,
        routes: Sequence[BaseRoute] = (),
        max_frames: int = MAX_FRAMES,
    ) -> None:
        self._settings = settings
        self.host, self.port = address(settings.listen)
        access = Access(self.host, settings.allow_hosts, settings.allow_origins)
        tokens = tokenfile.read(settings.token_file)
        self._upgrades = Handshake(hub, access, settings.max_subscribers, max_frames, tokens)
        self._app = AccessMiddleware(application(ready, info, routes), access, tokens)

    @property
    def url(self) -> str:
        """`http://HOST:PORT`"""
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
                ws=cast(type[asyncio.Protocol], self._upgrades),  # any callable will do
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
        await self._upgrades.close(CLOSE_SECONDS)
        await self._serving


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

    A client that is refused before its body has come may send on for a moment: most only read the answer when they
    have sent everything. What it sends is thrown away as it comes; then the connection is closed.
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
