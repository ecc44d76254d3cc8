from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable

from earmark.supervision.ending import end, listen


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
