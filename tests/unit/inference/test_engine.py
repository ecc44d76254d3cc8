from __future__ import annotations

import asyncio

from earmark.inference.engine import until_lost
from tests.engines import FakeEngine


async def turns() -> None:
    """Let the tasks that can go on do so."""
    for _ in range(3):
        await asyncio.sleep(0)


def test_an_engine_is_lost_when_it_failed_and_then_died_again() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        lost = asyncio.create_task(until_lost(engine))
        loading = frozenset({"a/model"})
        engine.become(phase="restarting", restarts=4, loading=loading)
        await turns()
        engine.become(phase="failed", restarts=5, detail="it died")
        await turns()
        engine.become(detail="importing torch")
        await turns()
        assert not lost.done()
        engine.become(restarts=6, detail="it died again")
        assert await lost == "it died again"

    asyncio.run(scene())


def test_an_engine_that_served_between_its_failures_is_not_lost() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        lost = asyncio.create_task(until_lost(engine))
        loading = frozenset({"a/model"})
        for restarts in (5, 6, 7):
            engine.become(phase="failed", restarts=restarts, loading=loading)
            await turns()
            engine.become(phase="ready", loading=frozenset())
            await turns()
        assert not lost.done()
        lost.cancel()

    asyncio.run(scene())


def test_an_engine_that_has_nothing_left_to_load_is_lost_at_once() -> None:
    async def scene() -> None:
        engine = FakeEngine()
        engine.become(phase="failed", detail="a/model: no such folder")
        assert await until_lost(engine) == "a/model: no such folder"

    asyncio.run(scene())
