"""The end of the process that SIGTERM and SIGINT ask for, and the end of a task."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from typing import Any


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


async def end(task: asyncio.Task[Any]) -> None:
    """Cancel the task, and wait until it has ended."""
    task.cancel()
    await asyncio.wait([task])
