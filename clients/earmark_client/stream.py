"""The stream of messages and events, with and without asyncio.

Proxies are not used: a daemon is on this machine or on this network.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, closing
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

import msgspec
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import DEFAULT_TYPES, Connection, Event, type_of
from earmark_client.address import Address, Filter, address
from earmark_client.follow import Counts, Failure, Follower, Message
from earmark_client.position import Position, PositionFile
from earmark_client.request import bearer

FIRST_TEMPORARY_STATUS = 500  # a refusal with a status below it is final, but for 429: trying again will not help
_CONNECT: dict[str, Any] = {
    "proxy": None,
    "compression": None,  # events are small
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 1,
    "max_size": 1 << 24,  # bytes; results of checkpoints with thousands of labels
}

_File = PositionFile | None

OnFailure = Callable[[EarmarkError], None]
"""Called before each new try with the reason why there is no connection."""

OnConnection = Callable[[Connection], None]
"""Called with each message about the connection: Hello after each connection, Gap, Error, Subscribed."""


class AsyncEvents(AsyncIterator[Event]):
    """The events of one subscription, over all of its connections. Made by events() and AsyncClient.events().

    An event counts as handled when the next one is asked for, or when the iteration is closed. Where a position file
    is kept, use `async with`: if the block raises, the event that it got last does not count, and comes again.
    """

    def __init__(self, chosen: _Chosen, given: AsyncGenerator[Message, None], follower: Follower, file: _File) -> None:
        self._events = _asked_for(chosen, given)
        self._follower = follower
        self._file = file

    @property
    def position(self) -> Position | None:
        """The position of the last event, behind which events(since=...) goes on. None before all else."""
        return self._follower.position

    @property
    def counts(self) -> Counts:
        """What became of the stream so far: connections, gaps, what was missed."""
        return self._follower.counts

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        return await anext(self._events)

    async def aclose(self) -> None:
        """Close the connection, and write the position file if there is one."""
        await self._events.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._file is not None:
            self._file.abandon()
        await self.aclose()


class Events(Iterator[Event]):
    """The same as AsyncEvents, blocking the calling thread. Made by events_sync() and Client.events()."""

    def __init__(self, chosen: _Chosen, given: Generator[Message, None, None], follower: Follower, file: _File) -> None:
        self._events = _asked_for_sync(chosen, given)
        self._follower = follower
        self._file = file

    @property
    def position(self) -> Position | None:
        """The position of the last event, behind which events_sync(since=...) goes on. None before all else."""
        return self._follower.position

    @property
    def counts(self) -> Counts:
        """What became of the stream so far: connections, gaps, what was missed."""
        return self._follower.counts

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """Close the connection, and write the position file if there is one."""
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self._file is not None:
            self._file.abandon()
        self.close()


def events(
    url: str | None = None,
    *,
    types: str | Iterable[str] | None = None,
    since: Position | str | None = None,
    position_file: str | os.PathLike[str] | None = None,
    reconnect: bool = True,
    token: str | None = None,
    ca: str | None = None,
    on_connection: OnConnection | None = None,
    on_failure: OnFailure | None = None,
    **filters: Filter | None,
) -> AsyncEvents:
    """Iterate over the events of the daemon at `url` as they happen, of the given `types` alone.

    Without `types`, these are Result, Label, Source, Loss and Config. The messages about the connection (`hello`,
    `gap`, `error`, `subscribed`) are yielded only if `types` names them; `on_connection` is called with them in any
    case. `filters` are the other query parameters of `docs/protocol.md`: sources, classifiers, labels (text or
    collections), min_score, top_k, every, policy. `url` is `HOST:PORT` or a URL; without it, the environment variable
    EARMARK_URL names the daemon, or else it is the one on this machine.

    A lost connection is made again, for ever and with pauses of up to ten seconds: `on_failure` is called with the
    reason. The stream goes on behind the last event, over restarts of the daemon too: no event comes twice or out of
    order, and where some are no longer kept, a `gap` says so. With reconnect=False the iterator ends with the stream,
    or raises ServerError.

    `since` is the position behind which to begin; without it, the stream begins with what happens next. The iterator's
    `position` is that of the last event. With `position_file`, that file keeps it, and if there is such a file, the
    stream begins behind it. It is written at most once a second and at the end; after a crash, what was handled in the
    last second comes again.

    `token`, or else the environment variable EARMARK_TOKEN, is for daemons that require one. `ca`, or else EARMARK_CA,
    names the file of the authority to trust with TLS, instead of those of the system. Events of types that this client
    does not know are skipped. Raises SubscriptionError with the daemon's sentence if it refuses a filter.
    """
    chosen = _Chosen(types, filters, on_connection)
    file, begin = _begin(since, position_file)
    follower = Follower(chosen.filters, since=begin, reconnect=reconnect, jitter=jittered)
    given = messages(address(url, ca), follower, file=file, token=token, on_failure=on_failure)
    return AsyncEvents(chosen, given, follower, file)


def events_sync(
    url: str | None = None,
    *,
    types: str | Iterable[str] | None = None,
    since: Position | str | None = None,
    position_file: str | os.PathLike[str] | None = None,
    reconnect: bool = True,
    token: str | None = None,
    ca: str | None = None,
    on_connection: OnConnection | None = None,
    on_failure: OnFailure | None = None,
    **filters: Filter | None,
) -> Events:
    """Iterate over the same as events(), blocking the calling thread. It works inside a running event loop too."""
    chosen = _Chosen(types, filters, on_connection)
    file, begin = _begin(since, position_file)
    follower = Follower(chosen.filters, since=begin, reconnect=reconnect, jitter=jittered)
    given = messages_sync(address(url, ca), follower, file=file, token=token, on_failure=on_failure)
    return Events(chosen, given, follower, file)


def _begin(since: Position | str | None, path: str | os.PathLike[str] | None) -> tuple[_File, Position | None]:
    """Return the position file, if one is wanted, and where to begin: where it says, or else at `since`."""
    begin = Position.parse(since) if isinstance(since, str) else since
    if path is None:
        return None, begin
    file = PositionFile(path)
    return file, file.read() or begin


# These two are no methods: a generator that refers to its iterator would keep the connection open after `break`
async def _asked_for(chosen: _Chosen, given: AsyncGenerator[Message, None]) -> AsyncGenerator[Event, None]:
    async with aclosing(given) as messages:
        async for message in messages:
            event = chosen.event(message)
            if event is not None:
                yield event


def _asked_for_sync(chosen: _Chosen, given: Generator[Message, None, None]) -> Generator[Event, None, None]:
    with closing(given) as messages:
        for message in messages:
            event = chosen.event(message)
            if event is not None:
                yield event


class _Chosen:
    """Which events a program asked for: the filters for the daemon, and the choice among the messages that come."""

    def __init__(
        self, types: str | Iterable[str] | None, filters: dict[str, Filter | None], on_connection: OnConnection | None
    ) -> None:
        if filters.get("shape") == "api":
            raise SubscriptionError("shape: arrays of the API are not events; read the WebSocket itself for shape=api")
        named = () if types is None else types.split(",") if isinstance(types, str) else types
        names = [name.strip() for name in named if name.strip()]
        self.filters = filters | ({"types": names} if names else {})
        self._types = frozenset(names) or DEFAULT_TYPES
        self._on_connection = on_connection

    def event(self, message: Message) -> Event | None:
        """Return the event in a message, or None for one that was not asked for."""
        event = message.event
        if event is None:
            return None
        if self._on_connection is not None and isinstance(event, Connection):
            self._on_connection(event)
        return event if type_of(event) in self._types else None


async def messages(
    daemon: Address,
    follower: Follower,
    *,
    file: PositionFile | None = None,
    token: str | None = None,
    on_failure: OnFailure | None = None,
) -> AsyncGenerator[Message, None]:
    """Yield what `follower` passes on of the messages, and write its position to `file`."""
    options = options_of(daemon, token)
    try:
        while True:
            try:
                async with websockets.asyncio.client.connect(
                    daemon.events(follower.filters()), **options
                ) as connection:
                    while True:
                        try:
                            async with asyncio.timeout(None if file is None else file.wait(time.monotonic())):
                                text = _text(await connection.recv())
                        except TimeoutError:
                            text = None
                        for message in () if text is None else follower.take(text):
                            yield message
                        if file is not None:
                            file.keep(follower.position if text is not None else None, time.monotonic())
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                failure = failure_of(error, daemon)
            pause = follower.lost(failure)
            if pause is None:
                return
            if on_failure is not None:
                on_failure(failure.error)
            await asyncio.sleep(pause)
    finally:
        if file is not None:
            file.end(follower.position)


def messages_sync(
    daemon: Address,
    follower: Follower,
    *,
    file: PositionFile | None = None,
    token: str | None = None,
    on_failure: OnFailure | None = None,
) -> Generator[Message, None, None]:
    """Yield the same as messages(), blocking the calling thread."""
    options = options_of(daemon, token)
    try:
        while True:
            try:
                with websockets.sync.client.connect(daemon.events(follower.filters()), **options) as connection:
                    while True:
                        try:
                            text = _text(connection.recv(None if file is None else file.wait(time.monotonic())))
                        except TimeoutError:
                            text = None
                        if text is not None:
                            yield from follower.take(text)
                        if file is not None:
                            file.keep(follower.position if text is not None else None, time.monotonic())
            except (OSError, InvalidHandshake, ConnectionClosed) as error:
                failure = failure_of(error, daemon)
            pause = follower.lost(failure)
            if pause is None:
                return
            if on_failure is not None:
                on_failure(failure.error)
            time.sleep(pause)
    finally:
        if file is not None:
            file.end(follower.position)


def options_of(daemon: Address, token: str | None) -> dict[str, Any]:
    """Return the options of a connection; the token goes into a header, never into the URL."""
    return _CONNECT | {"additional_headers": bearer(token or os.environ.get("EARMARK_TOKEN")), "ssl": daemon.tls()}


def _explained(error: Exception, daemon: Address) -> EarmarkError:
    """Return the error that tells people why there is no connection."""
    match error:
        case InvalidStatus():
            sentence = _sentence(error)
            if error.response.status_code == HTTPStatus.BAD_REQUEST:
                return SubscriptionError(sentence)
            return ServerError(f"{daemon.host} refuses the connection: {sentence}")
        case ConnectionRefusedError():
            return ServerError(f"nothing listens on {daemon.host}: is earmarkd running?")
        case ConnectionClosed():
            close = error.rcvd
            reason = f" ({close.code} {close.reason})".replace(" )", ")") if close is not None else ""
            return ServerError(f"the connection to {daemon.host} was lost{reason}")
        case TimeoutError():
            return ServerError(f"{daemon.host} does not answer")
        case ssl.SSLError():
            return ServerError(daemon.distrust(error))
        case OSError():
            # asyncio joins the failures of all addresses of a name into one text; one refusal counts as all
            if "Connect call failed" in str(error):
                return ServerError(f"nothing listens on {daemon.host}: is earmarkd running?")
            return ServerError(f"cannot reach {daemon.host}: {error.strerror or error}")
        case _:
            return ServerError(f"{daemon.host} does not speak WebSocket: {error}")


def failure_of(error: Exception, daemon: Address) -> Failure:
    """Return why there is no connection, and whether another try may help."""
    match error:
        case ConnectionClosedOK():
            return Failure(ServerError(f"the daemon at {daemon.host} has closed the connection"), ended=True)
        case InvalidStatus():
            status = error.response.status_code
            return Failure(
                _explained(error, daemon),
                final=status < FIRST_TEMPORARY_STATUS and status != HTTPStatus.TOO_MANY_REQUESTS,
                retry_after=_seconds(error.response.headers.get("Retry-After")),
            )
        case _:
            return Failure(_explained(error, daemon))


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isascii() and text.isdecimal() else 0.0


def _sentence(error: InvalidStatus) -> str:
    """Return the daemon's sentence about its refusal, or else the status."""
    try:
        content = msgspec.json.decode(bytes(error.response.body or b""))
        return str(content["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {error.response.status_code}"


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode()


def jittered(delay: float) -> float:
    """Return a pause near `delay`."""
    # many clients of one daemon must not all come back in the same instant
    return delay * random.uniform(0.75, 1.25)
