"""Does what the generators of `earmark_client.calls` ask for, with and without asyncio."""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

from earmark.errors import ServerError
from earmark_client.address import Address
from earmark_client.calls import Call, Content, Steps
from earmark_client.request import Response, bearer, send


def run(
    steps: Steps[Content], daemon: Address, token: str | None = None, pause: Callable[[float], None] = time.sleep
) -> Content:
    """Run to the end, blocking the calling thread. `pause` waits. Raises EarmarkError."""
    answer: Response | None = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            result: Content = end.value
            return result
        if isinstance(step, Call):
            answer = perform(step, daemon, token)
        else:
            pause(step)
            answer = None


async def run_async(steps: Steps[Content], daemon: Address, token: str | None = None) -> Content:
    """Run to the end; requests block a thread of the loop's pool. Raises EarmarkError."""
    answer: Response | None = None
    while True:
        try:
            step = steps.send(answer)
        except StopIteration as end:
            result: Content = end.value
            return result
        if isinstance(step, Call):
            answer = await asyncio.to_thread(perform, step, daemon, token)
        else:
            await asyncio.sleep(step)
            answer = None


def perform(call: Call, daemon: Address, token: str | None) -> Response:
    """Make one call. Raises ServerError if no response comes, or the file of the body cannot be read."""
    headers = dict(call.headers) | bearer(token or os.environ.get("EARMARK_TOKEN"))
    with contextlib.ExitStack() as stack:
        body: BinaryIO | bytes | None = None if isinstance(call.body, Path) else call.body
        length = len(body) if isinstance(body, bytes) else 0
        if isinstance(call.body, Path):
            try:
                body = file = stack.enter_context(call.body.open("rb"))
                length = os.fstat(file.fileno()).st_size
            except OSError as error:
                raise ServerError(f"cannot be read: {error.strerror}") from None
        return send(
            daemon, call.path, method=call.method, body=body, length=length, headers=headers, timeout=call.timeout
        )


def run_apart(work: Coroutine[Any, Any, Content]) -> Content:
    """Run a coroutine on a loop and in a thread of its own, also where a loop runs already. An interrupt cancels it."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)
    with contextlib.closing(loop), ThreadPoolExecutor(1) as pool:
        done = pool.submit(loop.run_until_complete, task)
        try:
            return done.result()
        except BaseException:
            loop.call_soon_threadsafe(task.cancel)
            raise
