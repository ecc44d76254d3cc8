"""The stream of messages and events, with and without asyncio.

Proxies are not used: a daemon is on this machine or on this network.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import msgspec
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark.protocol.endpoints import DEFAULT_ADDRESS
from earmark.protocol.events import Event, decode
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


async def events(
    url: str = DEFAULT_ADDRESS, *, reconnect: bool = True, token: str | None = None, **filters: Filter | None
) -> AsyncGenerator[Event, None]:
    """Yield the events of the daemon at `url` as they happen, and a Hello after each connection.

    `filters` are the query parameters of `docs/protocol.md`: sources, classifiers, types, labels (text or
    collections), min_score, top_k, every, policy. A lost connection is made again, for ever and with pauses of up to
    ten seconds; with reconnect=False the iterator ends with the stream, or raises ServerError. `token`, or else the
    environment variable EARMARK_TOKEN, is for daemons that require one. Events of unknown types are skipped.
    Raises SubscriptionError with the daemon's sentence if it refuses a filter.
    """
    _check_shape(filters)
    async with aclosing(messages(address(url), filters, reconnect=reconnect, token=token)) as texts:
        async for text in texts:
            event = _event(text)
            if event is not None:
                yield event


def events_sync(
    url: str = DEFAULT_ADDRESS, *, reconnect: bool = True, token: str | None = None, **filters: Filter | None
) -> Generator[Event, None, None]:
    """Yield the same as events(), blocking the calling thread."""
    _check_shape(filters)
    for text in messages_sync(address(url), filters, reconnect=reconnect, token=token):
        event = _event(text)
        if event is not None:
            yield event


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


def _event(text: str) -> Event | None:
    try:
        return decode(text)
    except msgspec.ValidationError:  # a message of a newer daemon
        return None
    except msgspec.DecodeError:
        raise ServerError("what answers there is no Earmark daemon: its messages are not JSON") from None


def _text(message: str | bytes) -> str:
    return message if isinstance(message, str) else message.decode()


def _check_shape(filters: dict[str, Filter | None]) -> None:
    if filters.get("shape") == "api":
        raise SubscriptionError("shape: arrays of the API are not events; read the WebSocket itself for shape=api")


def _jittered(delay: float) -> float:
    # many clients of one daemon must not all come back in the same instant
    return delay * random.uniform(0.75, 1.25)
