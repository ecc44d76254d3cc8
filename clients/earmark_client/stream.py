"""The stream of messages and events, for asyncio and without it.

No proxies: a daemon is on this machine or on this network.
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

FIRST_DELAY = 0.2  # seconds before the first new try; each further one waits twice as long
LONGEST_DELAY = 10.0
REFUSED_FOR_GOOD = 500  # statuses below it will not get better by trying again
_CONNECT: dict[str, Any] = {
    "proxy": None,
    "compression": None,  # events are small
    "open_timeout": 10,
    "ping_interval": 20,
    "ping_timeout": 20,
    "close_timeout": 1,
    "max_size": 1 << 24,  # bytes; results of checkpoints with thousands of labels
}

Trouble = Callable[[EarmarkError], None]
"""Told why there is no connection, before each new try."""


async def events(
    url: str = DEFAULT_ADDRESS, *, reconnect: bool = True, token: str | None = None, **filters: Filter | None
) -> AsyncGenerator[Event, None]:
    """What the daemon at `url` hears, as it happens; a Hello each time it connects.

    `filters` are the query parameters of `docs/protocol.md`: sources, classifiers, types, labels (text or
    collections), min_score, top_k, every, policy. A lost connection is made again, for ever and with pauses of up to
    ten seconds; with reconnect=False the iterator ends with the stream, or raises ServerError. `token`, or else the
    environment variable EARMARK_TOKEN, is for daemons that want one.
    Raises SubscriptionError with the daemon's sentence where it refuses a filter. Unknown types are skipped.
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
    """The same as events(), blocking the calling thread."""
    _check_shape(filters)
    for text in messages_sync(address(url), filters, reconnect=reconnect, token=token):
        event = _event(text)
        if event is not None:
            yield event


async def messages(
    where: Address,
    filters: dict[str, Filter | None],
    *,
    reconnect: bool = True,
    token: str | None = None,
    trouble: Trouble | None = None,
) -> AsyncGenerator[str, None]:
    """The messages as they come, JSON text."""
    delay, options = FIRST_DELAY, _options(token)
    while True:
        try:
            async with websockets.asyncio.client.connect(where.events(filters), **options) as connection:
                async for message in connection:
                    delay = FIRST_DELAY
                    yield _text(message)
            if not reconnect:
                return
            problem = _ended(where)
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            problem = _explained(error, where)
            if not reconnect or _is_final(error):
                raise problem from None
        if trouble is not None:
            trouble(problem)
        await asyncio.sleep(_jittered(delay))
        delay = min(delay * 2, LONGEST_DELAY)


def messages_sync(
    where: Address,
    filters: dict[str, Filter | None],
    *,
    reconnect: bool = True,
    token: str | None = None,
    trouble: Trouble | None = None,
) -> Generator[str, None, None]:
    """The same as messages(), blocking."""
    delay, options = FIRST_DELAY, _options(token)
    while True:
        try:
            with websockets.sync.client.connect(where.events(filters), **options) as connection:
                for message in connection:
                    delay = FIRST_DELAY
                    yield _text(message)
            if not reconnect:
                return
            problem = _ended(where)
        except (OSError, InvalidHandshake, ConnectionClosed) as error:
            problem = _explained(error, where)
            if not reconnect or _is_final(error):
                raise problem from None
        if trouble is not None:
            trouble(problem)
        time.sleep(_jittered(delay))
        delay = min(delay * 2, LONGEST_DELAY)


def _options(token: str | None) -> dict[str, Any]:
    """How to connect; the token is shown in a header, never in the URL."""
    return _CONNECT | {"additional_headers": bearer(token or os.environ.get("EARMARK_TOKEN"))}


def _explained(error: Exception, where: Address) -> EarmarkError:
    match error:
        case InvalidStatus():
            sentence = _sentence(error)
            if error.response.status_code == HTTPStatus.BAD_REQUEST:
                return SubscriptionError(sentence)
            return ServerError(f"{where.host} refuses the connection: {sentence}")
        case ConnectionRefusedError():
            return ServerError(f"nothing listens on {where.host}: is earmarkd running?")
        case ConnectionClosed():
            close = error.rcvd
            reason = f" ({close.code} {close.reason})".replace(" )", ")") if close is not None else ""
            return ServerError(f"the connection to {where.host} was lost{reason}")
        case TimeoutError():
            return ServerError(f"{where.host} does not answer")
        case OSError():
            # asyncio joins the failures of several addresses of one name into a text; one refusal is as good as all
            if "Connect call failed" in str(error):
                return ServerError(f"nothing listens on {where.host}: is earmarkd running?")
            return ServerError(f"cannot reach {where.host}: {error.strerror or error}")
        case _:
            return ServerError(f"{where.host} does not speak WebSocket: {error}")


def _is_final(error: Exception) -> bool:
    """True where trying again would give the same answer."""
    return isinstance(error, InvalidStatus) and error.response.status_code < REFUSED_FOR_GOOD


def _sentence(error: InvalidStatus) -> str:
    """What the daemon says about its refusal."""
    try:
        content = msgspec.json.decode(bytes(error.response.body or b""))
        return str(content["error"])
    except (msgspec.DecodeError, KeyError, TypeError):
        return f"status {error.response.status_code}"


def _ended(where: Address) -> EarmarkError:
    return ServerError(f"the daemon at {where.host} has closed the connection")


def _event(text: str) -> Event | None:
    try:
        return decode(text)
    except msgspec.ValidationError:  # a newer daemon's message
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
