from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Future

import pytest

from earmark.audio.types import SECOND
from earmark.supervision.progress import Signs
from earmark.supervision.watchdog import Rounds, Watchdog

WELL = Signs(0, "ready", 0)
HUNG = Signs(0, "unresponsive", 0)


def test_signs_of_life_stop_while_something_is_stuck_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[str] = []
    told: list[str] = []
    signs = iter((WELL, HUNG, HUNG, HUNG, WELL, WELL))
    dog = Watchdog(lambda: next(signs), 30.0, notify=sent.append, tell=told.append)
    with caplog.at_level(logging.INFO):
        for _ in range(6):
            dog.look()
    assert sent == ["WATCHDOG=1"] * 3
    assert [record.getMessage() for record in caplog.records] == [
        "the watchdog is not fed: the model process does not answer; systemd restarts the daemon if that lasts",
        "the watchdog is fed again: all parts make progress",
    ]
    assert told == ["stuck: the model process does not answer", "serving"]


def test_an_error_in_the_watchdog_itself_lets_it_fire(caplog: pytest.LogCaptureFixture) -> None:
    sent: list[str] = []

    def broken() -> Signs:
        raise RuntimeError("what is seen of the parts is gone")

    async def main() -> None:
        task = asyncio.create_task(Watchdog(broken, 30.0, notify=sent.append, tell=sent.append).run())
        await asyncio.sleep(0)
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert sent == []
    assert "the watchdog met an error" in caplog.text


def test_without_a_service_manager_there_is_nothing_to_do() -> None:
    asyncio.run(Watchdog(lambda: HUNG, None, notify=pytest.fail, tell=pytest.fail).run())


def test_a_round_is_owed_from_the_moment_it_was_asked_for_until_it_is_made() -> None:
    now = 0
    asked: list[Future[None]] = []

    def ask() -> Future[None]:
        asked.append(Future())
        return asked[-1]

    rounds = Rounds(ask, clock=lambda: now)
    assert rounds.owed() == 0
    now = 12 * SECOND
    assert rounds.owed() == 12
    assert len(asked) == 1  # it is not asked for twice
    asked[0].set_result(None)
    assert rounds.owed() == 0  # and the next one was asked for
    now = 15 * SECOND
    assert rounds.owed() == 3
