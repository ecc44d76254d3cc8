"""One connection to one server of NATS, from entering to leaving. It is never mended: another one takes its place."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import ssl
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit

from earmark.jetstream.login import NatsLogin, told

if TYPE_CHECKING:
    import nats.aio.client
    import nats.js

CONNECT_SECONDS = 4  # for the server to take a connection and to answer
ANSWER_SECONDS = 5.0  # for it to answer a question
PING_SECONDS = 5  # after three of them without an answer the connection counts as broken
CLOSE_SECONDS = 1.0
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 15.0  # seconds between attempts


class NatsError(Exception):
    """What is the matter with a connection, as a sentence."""


class Connection:
    """A connection to `server`, which `jetstream` asks. Entering and using it raise what sentence() explains.

    `on_broken` is called on the event loop when the connection breaks; `broken` tells it from then on.
    """

    def __init__(self, login: NatsLogin, server: str, name: str, on_broken: Callable[[], None] = lambda: None) -> None:
        self.server = told(server)
        self.broken = False
        self.why = ""
        self._login = login
        self._url = server
        self._name = name
        self._on_broken = on_broken
        self.client: nats.aio.client.Client
        self.jetstream: nats.js.JetStreamContext

    @property
    def version(self) -> tuple[int, int, str]:
        """The first two numbers of the server's version, and all of it for people."""
        version = self.client.connected_server_version
        return version.major, version.minor, f"{version.major}.{version.minor}.{version.patch}"

    def check(self) -> None:
        """Raise NatsError if the connection is broken."""
        if self.broken:
            raise NatsError(self.why or "the connection broke")

    async def __aenter__(self) -> Self:
        import nats.aio.client  # of an extra

        login, address = self._login, urlsplit(self._url)
        # The library tries a server that refuses again and again before it says so
        async with asyncio.timeout(CONNECT_SECONDS):
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
        self.client = client = nats.aio.client.Client()
        credentials = None if login.credentials is None else nats.aio.client.RawCredentials(login.credentials)
        try:
            async with asyncio.timeout(2 * CONNECT_SECONDS):
                await client.connect(
                    self._url,
                    name=self._name,
                    error_cb=self._note,
                    disconnected_cb=self._break,
                    closed_cb=self._break,
                    allow_reconnect=False,
                    connect_timeout=CONNECT_SECONDS,
                    ping_interval=PING_SECONDS,
                    user=login.username,
                    password=login.secret,
                    token=login.token,
                    user_credentials=credentials,
                    tls=login.tls,
                )
        except BaseException:
            await self._close()
            raise
        self.jetstream = client.jetstream(timeout=ANSWER_SECONDS)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._close()

    async def _close(self) -> None:
        self._on_broken = lambda: None
        with contextlib.suppress(Exception):  # what is lost with it is known by what was confirmed
            async with asyncio.timeout(CLOSE_SECONDS):
                await self.client.close()

    async def _note(self, error: Exception) -> None:
        self.why = sentence(error)

    async def _break(self) -> None:
        self.broken = True
        self._on_broken()


class Attempts:
    """Which server is tried next, and how long the pause before it is: none until all of them were tried."""

    def __init__(self, login: NatsLogin) -> None:
        self._servers = itertools.cycle(login.servers)
        self._count = len(login.servers)
        self._failed = 0
        self._pause = FIRST_PAUSE

    def server(self) -> str:
        """Return the server to try now."""
        return next(self._servers)

    def pause(self) -> float:
        """Return the seconds to wait after an attempt that failed, or a connection that broke."""
        self._failed += 1
        if self._failed % self._count:
            return 0.0
        pause, self._pause = self._pause, min(2 * self._pause, LONGEST_PAUSE)
        return pause * random.uniform(0.5, 1.0)

    def succeeded(self) -> None:
        """Let the pauses begin anew."""
        self._failed, self._pause = 0, FIRST_PAUSE


def failures() -> tuple[type[Exception], ...]:
    """Return the errors that a broken or refused connection raises, which another attempt may mend."""
    import nats.errors

    return (nats.errors.Error, NatsError, OSError, TimeoutError)


def sentence(error: BaseException) -> str:
    """Return what an error of the library means."""
    text = str(error).removeprefix("nats: ").strip("'\" ")
    lower = text.lower()
    if (
        "no responders" in lower
        or "jetstream not enabled" in lower
        or "serviceunavailable" in type(error).__name__.lower()
    ):
        return "the server has no JetStream (nats-server -js), or it is not ready"
    if "nostreamresponse" in type(error).__name__.lower():
        return "no stream takes the subject, or JetStream is not ready"
    if "authorization" in lower or "authentication" in lower:
        return "the server does not accept the login"
    if "permissions violation" in lower:
        return f"the server does not permit it: {text}"
    if isinstance(error, ssl.SSLError):
        return f"no TLS: {getattr(error, 'reason', None) or text}"
    if isinstance(error, TimeoutError) or "timeout" in lower:
        return "no answer"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    description = getattr(error, "description", None)
    return str(description or text or type(error).__name__)
