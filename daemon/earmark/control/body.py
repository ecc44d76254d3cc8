"""The body of a request that changes the daemon: a small JSON object, and said to be one."""

from __future__ import annotations

import asyncio

import msgspec
from starlette.requests import Request

from earmark.errors import RequestError

MAX_BYTES = 65_536
SECONDS = 10.0  # for the whole body to come


async def read_object(request: Request, *, may_be_empty: bool = False) -> dict[str, object]:
    """Return the JSON object in the body; an empty one for no body where that is allowed.

    The type must be `application/json`: a form on a foreign page cannot send that. Raises RequestError, and
    ClientDisconnect if the client leaves.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise RequestError(415, "Content-Type: it must be application/json, and the body a JSON object")
    if "content-encoding" in request.headers:
        raise RequestError(415, "Content-Encoding: the body must come as it is")
    body = await _read(request)
    if not body and may_be_empty:
        return {}
    try:
        content = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise RequestError(400, "the body is not JSON: it is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise RequestError(400, f"the body is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise RequestError(400, "the body is not a JSON object")
    return content


async def _read(request: Request) -> bytes:
    body = bytearray()
    try:
        async with asyncio.timeout(SECONDS):
            async for part in request.stream():
                body += part
                if len(body) > MAX_BYTES:
                    raise RequestError(413, f"the body is larger than {MAX_BYTES} bytes")
    except TimeoutError:
        raise RequestError(408, f"the body did not come within {SECONDS:g} s") from None
    return bytes(body)
