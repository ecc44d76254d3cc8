"""Who is told of the state of an engine, and when."""

from __future__ import annotations

import asyncio
import logging

import pytest

from earmark.inference.announced import Announced
from earmark.inference.engine import EngineState

READY, AWAY = EngineState("ready"), EngineState("restarting", "it died")


def test_the_callback_gets_each_other_state_once_and_who_waits_is_woken_each_time() -> None:
    async def scene() -> None:
        told: list[EngineState] = []
        announced = Announced(EngineState(), told.append)
        for state in (READY, READY, AWAY):
            waiting = asyncio.ensure_future(announced.changed())
            await asyncio.sleep(0)
            announced.become(state)
            await waiting
            assert announced.now == state
        assert told == [READY, AWAY]

    asyncio.run(scene())


def test_a_callback_that_fails_is_told_and_keeps_nobody_waiting(caplog: pytest.LogCaptureFixture) -> None:
    def fail(state: EngineState) -> None:
        raise RuntimeError("no room for a line")

    async def scene() -> None:
        announced = Announced(EngineState(), fail)
        waiting = asyncio.ensure_future(announced.changed())
        await asyncio.sleep(0)
        announced.become(READY)
        await waiting

    with caplog.at_level(logging.ERROR):
        asyncio.run(scene())
    assert caplog.messages == ["The callback for the engine's state failed"]
