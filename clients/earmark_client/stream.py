"""The stream of messages and events, with and without asyncio.

Proxies are not used: a daemon is on this machine or on this network.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Generator, Iterable
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import msgspec
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.events import DEFAULT_TYPES, Connection, Event, decode, type_of
from earmark_client.address import Address, Filter, address
from earmark_client.request import bearer

MIN_DELAY = 0.2  # seconds before the first new try; each further one waits twice as long
MAX_DELAY = 10.0
FIRST_TEMPORARY_STATUS = 500  # a refusal with a status below it is final: trying again will not help
_CONNECT: dict[str, Any] = {
    "proxy": None,
    "compression": None,  # events are small
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 1,
    "max_size": 1 << 24,  # bytes; results of checkpoints with thousands of labels
}

OnFailure = Callable[[EarmarkError], None]
"""Called before each new try with the reason why there is no connection."""

OnConnection = Callable[[Connection], None]
"""Called with each message about the connection: Hello after each connection, Gap, Error, Subscribed."""


async def events(
    url: str | None = None,
    *,
    types: str | Iterable[str] | None = None,
    reconnect: bool = True,
    token: str | None = None,
    on_connection: OnConnection | None = None,
    on_failure: OnFailure | None = None,
    **filters: Filter | None,
) -> AsyncGenerator[Event, None]:
    """Yield the events of the daemon at `url` as they happen, of the given `types` alone.

    Without `types`, these are Result, Label, Source and Loss. The messages about the connection (`hello`, `gap`,
    `error`, `subscribed`) are yielded only if `types` names them; `on_connection` is called with them in any case.
    `filters` are the other query parameters of `docs/protocol.md`: sources, classifiers, labels (text or collections),
    min_score, top_k, every, policy. `url` is `HOST:PORT` or a URL; without it, the environment variable EARMARK_URL
    names the daemon, or else it is the one on this machine.

    A lost connection is made again, for ever and with pauses of up to ten seconds: `on_failure` is called with the
    reason. The `off` of a label that is on then may be missed. With reconnect=False the iterator ends with the stream,
    or raises ServerError. `token`, or else the environment variable EARMARK_TOKEN, is for daemons that require one.
    Events of types that this client does not know are skipped.
    Raises SubscriptionError with the daemon's sentence if it refuses a filter.
    """
    chosen = _Chosen(types, filters, on_connection)
    given = messages(address(url), chosen.filters, reconnect=reconnect, token=token, on_failure=on_failure)
    async with aclosing(given) as texts:
        async for text in texts:
            event = chosen.event(text)
            if event is not None:
                yield event


def events_sync(
    url: str | None = None,
    *,
    types: str | Iterable[str] | None = None,
    reconnect: bool = True,
    token: str | None = None,
    on_connection: OnConnection | None = None,
    on_failure: OnFailure | None = None,
    **filters: Filter | None,
) -> Generator[Event, None, None]:
    """Yield the same as events(), blocking the calling thread."""
    chosen = _Chosen(types, filters, on_connection)
    for text in messages_sync(address(url), chosen.filters, reconnect=reconnect, token=token, on_failure=on_failure):
        event = chosen.event(text)
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

    def event(self, text: str) -> Event | None:
        """Return the event in a message, or None for one that was not asked for."""
        try:
            event = decode(text)
        except msgspec.ValidationError:  # a message of a newer daemon
            return None
        except msgspec.DecodeError:
            raise ServerError("what answers there is no Earmark daemon: its messages are not JSON") from None
        if self._on_connection is not None and isinstance(event, Connection):
            self._on_connection(event)
        return event if type_of(event) in self._types else None


async def messages(
    daemon: Address,
    filters: dict[str, Filter | None],
    *,
    reconnect: bool = True,
    token: str | None = None,
    on_failure: OnFailure | None = None,
) -> AsyncGenerator[str, None]:
    """Yield the messages as they come, as JSON text."""
    delay, options = MIN_DELAY, _options(token)
    while True:
        try:
            async with websockets.asyncio.client.connect(daemon.events(filters), **options) as connection:
                async for message in connection:
                    delay = MIN_DELAY
                    yield _text(message)
            if not reconnect:
                return
            failure = _ended(daemon)
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            failure = _explained(error, daemon)
            if not reconnect or _is_final(error):
                raise failure from None
        if on_failure is not None:
            on_failure(failure)
        await asyncio.sleep(_jittered(delay))
        delay = min(delay * 2, MAX_DELAY)


def messages_sync(
    daemon: Address,
    filters: dict[str, Filter | None],
    *,
    reconnect: bool = True,
    token: str | None = None,
    on_failure: OnFailure | None = None,
) -> Generator[str, None, None]:
    """Yield the same as messages(), blocking the calling thread."""
    delay, options = MIN_DELAY, _options(token)
    while True:
        try:
            with websockets.sync.client.connect(daemon.events(filters), **options) as connection:
                for message in connection:
                    delay = MIN_DELAY
                    yield _text(message)
            if not reconnect:
                return
            failure = _ended(daemon)
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            failure = _explained(error, daemon)
            if not reconnect or _is_final(error):
                raise failure from None
        if on_failure is not None:
            on_failure(failure)
        time.sleep(_jittered(delay))
        delay = min(delay * 2, MAX_DELAY)


def _options(token: str | None) -> dict[str, Any]:
    """Return the options of a connection; the token goes into a header, never into the URL."""
    return _CONNECT | {"additional_headers": bearer(token or os.environ.get("EARMARK_TOKEN"))}


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
        case OSError():
            # asyncio joins the failures of all addresses of a name into one text; one refusal counts as all
            if "Connect call failed" in str(error):
                return ServerError(f"nothing listens on {daemon.host}: is earmarkd running?")
            return ServerError(f"cannot reach {daemon.host}: {error.strerror or error}")
        case _:
            return ServerError(f"{daemon.host} does not speak WebSocket: {error}")


def _is_final(error: Exception) -> bool:
    """Return whether trying again would end in the same way."""
    return isinstance(error, InvalidStatus) and error.response.status_code < FIRST_TEMPORARY_STATUS


def _sentence(error: InvalidStatus) -> str:
    """Return the daemon's sentence about its refusal, or else the status."""
    try:
        content = msgspec.json.decode(bytes(error.response.body or b""))
        return str(content["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {error.response.status_code}"


def _ended(daemon: Address) -> EarmarkError:
    return ServerError(f"the daemon at {daemon.host} has closed the connection")


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode()


def _jittered(delay: float) -> float:
    # many clients of one daemon must not all come back in the same instant
    return delay * random.uniform(0.75, 1.25)
