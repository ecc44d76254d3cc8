"""The end of the process that SIGTERM and SIGINT ask for, and the end of a task."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from typing import Any

AGAIN_SECONDS = 15.0  # more than a task needs that says goodbye to a server


def listen(add: Callable[..., object], stop: asyncio.Event, exit_now: Callable[[int], object] = os._exit) -> None:
    """Set `stop` at the first signal, and end the process at a second one, at once.

    `add` is the event loop's add_signal_handler().
    """

    def act(number: signal.Signals) -> None:
        if stop.is_set():
            exit_now(128 + number)
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        add(number, act, number)


async def end(*tasks: asyncio.Task[Any], again: float = AGAIN_SECONDS) -> None:
    """Cancel the tasks, and wait until they have ended.

    They are cancelled anew every `again` seconds: asyncio.wait_for() of Python 3.11, which libraries call, swallows a
    cancellation that comes together with what it waits for.
    """
    pending = {*tasks}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=again)


async def first(*coroutines: Coroutine[object, object, None], again: float = AGAIN_SECONDS) -> None:
    """Run all until one ends, which ends the others, and raise what it raised."""
    tasks = [asyncio.create_task(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await end(*tasks, again=again)
    for task in done:
        task.result()
