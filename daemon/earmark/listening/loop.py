"""From other threads to the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TypeVarTuple

Arguments = TypeVarTuple("Arguments")


def call_if_open(
    loop: asyncio.AbstractEventLoop, function: Callable[[*Arguments], object], *arguments: *Arguments
) -> None:
    """Call the function on the loop's thread soon. From any thread; does nothing once the loop is closed.

    A thread may outlive the loop: one that writes to a pipe which nobody reads ends only when the pipe breaks.
    """
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(function, *arguments)
