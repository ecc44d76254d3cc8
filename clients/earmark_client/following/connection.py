"""Connections to the daemon's stream, one after the other, with and without asyncio; and why there is none.

Proxies are not used: a daemon is on this machine or on this network.
"""

from __future__ import annotations

import asyncio
import os
import random
import ssl
import time
from collections.abc import AsyncGenerator, Callable, Generator
from http import HTTPStatus
from typing import Any

import msgspec
import websockets.asyncio.client
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, ConnectionClosedOK, InvalidHandshake, InvalidStatus

from earmark.errors import EarmarkError, ServerError, SubscriptionError
from earmark_client.address import Address
from earmark_client.following.follow import Failure, Follower, Message
from earmark_client.following.position import PositionFile
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

OnFailure = Callable[[EarmarkError], None]
"""Called before each new try with the reason why there is no connection."""


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
