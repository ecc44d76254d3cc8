"""The body of a request as it comes in: held once, counted, and watched for a client that leaves."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from earmark.bodies.compressed import decoder
from earmark.bodies.memory import Reservation
from earmark.errors import RequestError


@dataclass(frozen=True, slots=True)
class Pace:
    """How fast a body must come: some bytes every `idle` seconds, and `min_rate` bytes a second after `grace` seconds.

    A slow but steady upload is fine. One that sends a byte now and then only keeps the connection.
    """

    idle: float = 20.0
    grace: float = 60.0
    min_rate: float = 256.0

    def deadline(self, began: float, received: int, now: float) -> float:
        """Return when the next bytes must have come of a body of which `received` have."""
        return min(now + self.idle, began + self.grace + received / self.min_rate)


PACE = Pace()

Result = TypeVar("Result")


async def read_body(request: Request, max_bytes: int, memory: Reservation, pace: Pace = PACE) -> bytes:
    """Return the whole body, which `memory` counts as it comes: a promise takes no room from others.

    A compressed body is unpacked on the way, and all limits hold for what is in it. Raises RequestError 413 as soon as
    it is larger than `max_bytes`, 408 if it comes slower than `pace`, 415 and 400 for what cannot be unpacked, and what
    `memory` raises; ClientDisconnect if the client leaves.
    """
    too_large = RequestError(
        413, f"the body is larger than {max_bytes // 1_000_000} MB, which is all that http.max_body_mb allows"
    )
    header = request.headers.get("content-length", "")
    promised = int(header) if header.isdigit() else None
    if promised is not None:
        if promised > max_bytes:
            raise too_large
        memory.check(promised)  # what has no room now is better refused before it is sent
    body = io.BytesIO()  # grows in place, and getvalue() copies nothing
    unpacking = decoder(request.headers.get("content-encoding", ""))
    async for chunk in _paced(request, pace):
        for part in (chunk,) if unpacking is None else unpacking.feed(chunk):
            if body.tell() + len(part) > max_bytes:
                raise too_large
            memory.take(len(part))
            body.write(part)
    if unpacking is not None:
        unpacking.end()
    return body.getvalue()


async def _paced(request: Request, pace: Pace) -> AsyncIterator[bytes]:
    """Yield the parts of the body as they come. Raises RequestError 408 if they come too slowly."""
    loop = asyncio.get_running_loop()
    began, received = loop.time(), 0
    while True:
        try:
            async with asyncio.timeout_at(pace.deadline(began, received, loop.time())):
                message = await request.receive()
        except TimeoutError:
            raise RequestError(408, f"the body came too slowly: {received} bytes so far") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        is_last = not message.get("more_body", False)
        part = message.pop("body", b"")  # nobody else holds it
        del message
        received += len(part)
        yield part
        if is_last:
            return


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`. If the client leaves meanwhile, cancel it and raise ClientDisconnect.

    The body must have been read.
    """
    task = asyncio.current_task()
    assert task is not None  # coroutines run in tasks
    has_left = is_done = False

    def leave(watching: asyncio.Task[None]) -> None:
        nonlocal has_left
        if not watching.cancelled():
            watching.exception()  # else asyncio says that it was never retrieved
            if not is_done:
                has_left = True
                task.cancel()

    # work goes on in this task, because a task of its own costs two turns of the event loop
    watching = asyncio.ensure_future(_disconnected(request))
    watching.add_done_callback(leave)
    try:
        return await work
    except asyncio.CancelledError:
        if has_left and not task.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        is_done = True  # from here on the client may leave as it likes
        watching.cancel()


async def _disconnected(request: Request) -> None:
    """Wait until the client has left. Nothing else can come after the body."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
