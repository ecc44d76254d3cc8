from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

import pytest

from earmark.errors import SourceError
from earmark.supervision.ending import end, first, listen


def test_the_first_signal_asks_for_the_end_and_a_second_one_ends_the_process_at_once() -> None:
    handlers: dict[int, Callable[[], object]] = {}
    codes: list[int] = []
    stop = asyncio.Event()
    listen(lambda number, act, given: handlers.update({number: lambda: act(given)}), stop, codes.append)
    handlers[signal.SIGINT]()
    assert (stop.is_set(), codes) == (True, [])
    handlers[signal.SIGTERM]()
    assert codes == [128 + signal.SIGTERM]


def test_a_task_has_ended_when_end_returns() -> None:
    async def scenario() -> bool:
        task = asyncio.create_task(asyncio.Event().wait())
        await asyncio.sleep(0)
        await end(task)
        return task.cancelled()

    assert asyncio.run(scenario())


async def deaf_once() -> None:
    """Wait for ever, and swallow one cancellation, as asyncio.wait_for() of Python 3.11 may."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        await asyncio.Event().wait()


def test_a_task_that_swallows_a_cancellation_is_ended_by_the_next_one() -> None:
    async def scenario() -> bool:
        task = asyncio.create_task(deaf_once())
        await asyncio.sleep(0)
        async with asyncio.timeout(5):
            await end(task, again=0.01)
        return task.cancelled()

    assert asyncio.run(scenario())


def test_the_first_that_ends_ends_the_others_and_its_error_is_raised() -> None:
    async def breaks() -> None:
        await asyncio.sleep(0)
        raise SourceError("it broke")

    async def scenario() -> int:
        async with asyncio.timeout(5):
            with pytest.raises(SourceError, match="it broke"):
                await first(deaf_once(), breaks(), again=0.01)
        return len(asyncio.all_tasks())

    assert asyncio.run(scenario()) == 1
