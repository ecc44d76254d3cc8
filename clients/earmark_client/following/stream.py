"""The stream of events as a program iterates over it, with and without asyncio."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterable, Iterator
from contextlib import aclosing, closing
from types import TracebackType
from typing import Self

from earmark.errors import SubscriptionError
from earmark.protocol.events import DEFAULT_TYPES, Connection, Event, type_of
from earmark_client.address import Filter, address
from earmark_client.following.connection import OnFailure, jittered, messages, messages_sync
from earmark_client.following.follow import Counts, Follower, Message
from earmark_client.following.position import Position, PositionFile

_File = PositionFile | None

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
