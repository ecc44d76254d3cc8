from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from earmark.app.loading import load
from earmark.config import settings as config
from earmark.errors import ConfigError, EarmarkError, Unavailable
from earmark.inference.engine import Phase
from earmark.listening.plan import Plan, plans
from earmark.zeroshot.text_vectors import TextVectors
from tests.engines import FakeEngine

MODEL = "earmark/emotion"
PLANS = {each.name: each for each in plans(config.Config(classifier=(config.Classifier(name="moods", model=MODEL),)))}


def play(engine: FakeEngine, scene: Callable[[asyncio.Task[dict[str, Plan]]], Awaitable[None]]) -> None:
    """Load the model of a new classifier, and run the scene once the engine was asked to."""

    async def run() -> None:
        checkpoints = {MODEL: PLANS["moods"].checkpoint}
        loading = asyncio.create_task(load(engine, TextVectors(engine), checkpoints, PLANS, within=20))
        while not engine.loads:
            await asyncio.sleep(0)
        await scene(loading)

    asyncio.run(run())


async def still_waits(loading: asyncio.Task[dict[str, Plan]]) -> None:
    """Let the task go as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)
    assert not loading.done()


def away(phase: Phase, restarts: int = 3) -> FakeEngine:
    engine = FakeEngine()
    engine.become(phase=phase, restarts=restarts, detail="the model process was killed by signal 9")
    return engine


@pytest.mark.parametrize("phase", ["restarting", "starting", "failed"])
def test_a_process_that_is_started_again_is_waited_for(phase: Phase) -> None:
    engine = away(phase)

    async def scene(loading: asyncio.Task[dict[str, Plan]]) -> None:
        await still_waits(loading)
        engine.become(loaded=frozenset({MODEL}))
        assert (await loading).keys() == {"moods"}
        assert engine.unloads == []

    play(engine, scene)


@pytest.mark.parametrize("phase", ["restarting", "failed"])
def test_a_process_that_dies_once_more_is_no_fault_of_the_configuration(phase: Phase) -> None:
    engine = away(phase)

    async def scene(loading: asyncio.Task[dict[str, Plan]]) -> None:
        await still_waits(loading)
        engine.become(phase="failed", restarts=4)
        with pytest.raises(Unavailable, match=f"^{MODEL} is not loaded now: the model process was killed by sig"):
            await loading
        assert engine.unloads == [MODEL]

    play(engine, scene)


def test_a_model_that_the_engine_was_told_of_before_stays_with_it_when_nothing_can_be_loaded() -> None:
    engine = away("restarting")
    engine.become(loading=frozenset({MODEL}))  # as the default model of a daemon that has no classifier

    async def run() -> None:
        with pytest.raises(Unavailable):
            await load(engine, TextVectors(engine), {MODEL: PLANS["moods"].checkpoint}, PLANS, within=0)

    asyncio.run(run())
    assert engine.unloads == []


def test_a_model_under_which_a_process_that_was_ready_dies_again_and_again_is_refused() -> None:
    engine = away("ready", restarts=0)

    async def scene(loading: asyncio.Task[dict[str, Plan]]) -> None:
        for restarts in range(1, 5):
            engine.become(phase="restarting", restarts=restarts)
            await still_waits(loading)
        engine.become(phase="failed", restarts=5)
        with pytest.raises(ConfigError):
            await loading
        assert engine.unloads == [MODEL]

    play(engine, scene)


def test_a_daemon_that_shuts_down_is_no_fault_of_the_configuration() -> None:
    engine = away("ready")

    async def scene(loading: asyncio.Task[dict[str, Plan]]) -> None:
        engine.become(phase="stopped", detail="the daemon shuts down")
        with pytest.raises(Unavailable, match="the daemon shuts down"):
            await loading

    play(engine, scene)


def test_what_takes_too_long_is_told_with_what_is_waited_for_and_is_no_fault_of_the_configuration() -> None:
    engine = away("starting")

    async def run() -> EarmarkError:
        with pytest.raises(Unavailable) as caught:
            await load(engine, TextVectors(engine), {MODEL: PLANS["moods"].checkpoint}, PLANS, within=0)
        return caught.value

    assert str(asyncio.run(run())) == (f"{MODEL}: not loaded within 0 s: the model process was killed by signal 9")
    assert engine.unloads == [MODEL]
