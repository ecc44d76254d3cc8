"""The body of a request as it comes in: held once, counted, and watched for a client that leaves."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Coroutine
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from earmark.api.memory import Reservation
from earmark.errors import RequestError

BODY_SECONDS = 60.0  # for a body to arrive

Result = TypeVar("Result")


async def read_body(request: Request, max_bytes: int, memory: Reservation) -> bytes:
    """Return the whole body, which `memory` counts.

    Raises RequestError 413 as soon as it is larger than `max_bytes`, 408 if it does not arrive, and what `memory`
    raises; ClientDisconnect if the client leaves.
    """
    too_large = RequestError(
        413, f"the body is larger than {max_bytes // 1_000_000} MB, which is all that http.max_body_mb allows"
    )
    header = request.headers.get("content-length", "")
    promised = int(header) if header.isdigit() else None
    if promised is not None:
        if promised > max_bytes:
            raise too_large
        memory.take(promised)  # all of it or nothing: else ten clients could stop each other half way
    body = io.BytesIO()  # grows in place, and getvalue() copies nothing
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.stream():
                if body.tell() + len(chunk) > max_bytes:
                    raise too_large
                if promised is None:
                    memory.take(len(chunk))
                body.write(chunk)
    except TimeoutError:
        raise RequestError(408, f"the body did not arrive within {BODY_SECONDS:g} s") from None
    return body.getvalue()


async def while_connected(request: Request, work: Coroutine[Any, Any, Result]) -> Result:
    """Return the result of `work`. If the client leaves meanwhile, cancel it and raise ClientDisconnect.

    The body must have been read.
    """
    working = asyncio.ensure_future(work)
    watching = asyncio.ensure_future(_disconnected(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnect
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task


async def _disconnected(request: Request) -> None:
    """Wait until the client has left. Nothing else can come after the body."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
