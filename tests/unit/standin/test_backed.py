"""Who is given a batch, the endpoints or the process that stands in for them, with engines that are driven by hand."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from earmark.checkpoints.checkpoint import Checkpoint
from earmark.errors import ModelError, Unavailable, WorkerError
from earmark.inference.announced import OnChange
from earmark.inference.engine import EngineState, RemoteStats
from earmark.standin.backed import BackedEngine
from tests.engines import FakeEngine, failing

NAME = "house/moods"
CHECKPOINT = Checkpoint(NAME, "", ("low", "high"), 8000, "wav2vec2", None, None, None, 400)
WINDOW = np.zeros(4, np.float32)
NEVER = 1e6  # seconds


class Side(FakeEngine):
    """The endpoints, or the process. It answers each window with `mark`, and tells its states."""

    def __init__(self, mark: float, follow: OnChange, parallel: int = 1) -> None:
        super().__init__(lambda batch: np.full((len(batch), 2), mark, np.float32))
        self.state = EngineState("starting", "nobody is there")
        self.parallel = parallel
        self.is_open = False
        self._follow = follow

    async def __aenter__(self) -> Self:
        self.is_open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.is_open = False

    def stop(self) -> None:
        self.become(phase="stopped")

    def silence(self) -> float:
        return 3.0

    def remote(self) -> RemoteStats:
        return RemoteStats(retried=5)

    def become(self, **fields: object) -> None:
        super().become(**fields)
        self._follow(self.state)

    def serve(self) -> None:
        self.become(phase="ready", detail="", loaded=frozenset({NAME}), refused={})

    def vanish(self) -> None:
        self.become(phase="restarting", detail="it cannot be reached", loaded=frozenset())


class Stage:
    """A BackedEngine, its endpoints, and the processes that it has started."""

    def __init__(self, away: float, kept: float) -> None:
        self.processes: list[Side] = []
        self.told: list[EngineState] = []
        self.engine = BackedEngine(
            [CHECKPOINT], self._endpoints, self._process, on_change=self.told.append, away=away, kept=kept
        )

    def _endpoints(self, follow: OnChange) -> Side:
        self.remote = Side(1.0, follow, parallel=4)
        return self.remote

    def _process(self, checkpoints: Sequence[Checkpoint], follow: OnChange) -> Side:
        assert [each.name for each in checkpoints] == [NAME]
        self.processes.append(Side(2.0, follow))
        return self.processes[-1]

    async def process(self, number: int = 1) -> Side:
        while len(self.processes) < number or not self.processes[-1].is_open:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.processes[-1]

    async def answer(self) -> float:
        logits = await self.engine.classify(NAME, [WINDOW])
        return float(logits[0, 0])


@asynccontextmanager
async def stage(away: float = 0.0, kept: float = NEVER) -> AsyncIterator[Stage]:
    found = Stage(away, kept)
    async with found.engine:
        yield found


def play(scene: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scene()

    asyncio.run(bounded())


def test_while_the_endpoints_serve_no_process_is_started() -> None:
    async def scene() -> None:
        async with stage(away=NEVER) as found:
            found.remote.serve()
            await found.engine.ready()
            assert [await found.answer() for _ in range(3)] == [1.0] * 3
            assert found.processes == []
            assert found.engine.parallel == 4
            assert found.engine.remote() == RemoteStats(retried=5, here=0)

    play(scene)


def test_without_endpoints_a_process_serves_and_they_have_the_next_batch_when_they_are_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            assert "a model process starts here" in found.engine.state.detail
            process.serve()
            await found.engine.ready()
            assert await found.answer() == 2.0
            assert found.engine.state.fallback == "nobody is there"
            assert found.engine.parallel == 1
            assert found.engine.silence() == 3.0
            found.remote.serve()
            assert await found.answer() == 1.0
            assert found.engine.state.fallback == ""
            assert found.engine.silence() == 0.0
            assert found.engine.remote().here == 1

    with caplog.at_level(logging.INFO):
        play(scene)
    assert "A model process starts here, because the endpoints do not serve all models" in caplog.messages


def test_the_process_ends_when_the_endpoints_have_served_for_a_while_and_another_one_comes_at_the_next_outage() -> None:
    async def scene() -> None:
        async with stage(kept=0.0) as found:
            first = await found.process()
            first.become(restarts=2)
            first.serve()
            found.remote.serve()
            while first.is_open:
                await asyncio.sleep(0)
            assert found.engine.state.phase == "ready"
            found.remote.vanish()
            second = await found.process(2)
            second.serve()
            assert await found.answer() == 2.0
            assert found.engine.state.restarts == 2

    play(scene)


def test_a_batch_that_the_endpoints_do_not_answer_is_classified_here() -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            process.serve()
            found.remote.serve()
            found.remote.logits = failing(Unavailable("it went away under the call"))
            found.remote.held = True
            answer = asyncio.ensure_future(found.answer())
            await found.remote.began()
            found.remote.vanish()
            found.remote.release()
            assert await answer == 2.0

    play(scene)


def test_a_batch_waits_until_somebody_serves() -> None:
    async def scene() -> None:
        async with stage() as found:
            answer = asyncio.ensure_future(found.answer())
            process = await found.process()
            assert not answer.done()
            process.serve()
            assert await answer == 2.0

    play(scene)


def test_a_batch_under_which_the_process_is_ended_goes_to_the_endpoints() -> None:
    async def scene() -> None:
        async with stage(kept=0.0) as found:
            process = await found.process()
            process.serve()
            process.held, process.logits = True, failing(WorkerError("the model process was stopped"))
            answer = asyncio.ensure_future(found.answer())
            await process.began()
            found.remote.serve()
            while process.is_open:
                await asyncio.sleep(0)
            process.release()
            assert await answer == 1.0

    play(scene)


def test_an_error_of_the_model_is_not_tried_elsewhere() -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            process.serve()
            found.remote.serve()
            found.remote.logits = failing(WorkerError("it takes no such window"))
            with pytest.raises(WorkerError, match="no such window"):
                await found.answer()
            assert process.batches == []

    play(scene)


def test_endpoints_that_fail_on_and_on_while_they_say_that_they_serve_are_given_up() -> None:
    async def scene() -> None:
        async with stage() as found:
            found.remote.serve()
            found.remote.logits = failing(Unavailable("it did not answer within 30 s"))
            with pytest.raises(Unavailable, match="30 s"):
                await found.answer()
            assert len(found.remote.batches) == 3

    play(scene)


def test_a_model_that_both_refuse_is_refused() -> None:
    async def scene() -> None:
        async with stage() as found:
            found.remote.become(phase="failed", refused={NAME: "a:1 does not have it"})
            process = await found.process()
            process.become(phase="failed", refused={NAME: "torch is not installed"})
            for refused in (found.engine.ready(), found.answer()):
                with pytest.raises(ModelError, match="does not have it; the model process here: torch is not"):
                    await refused

    play(scene)


def test_a_batch_does_not_wait_for_a_process_that_cannot_serve_it() -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            process.become(phase="failed", refused={NAME: "torch is not installed"})
            with pytest.raises(WorkerError, match="nobody is there; the model process here: torch is not installed"):
                await found.answer()

    play(scene)


def test_models_are_loaded_and_unloaded_at_both_ends() -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            other = Checkpoint("house/bells", "", ("a", "b"), 8000, "wav2vec2", None, None, None, 400)
            found.engine.load(other)
            assert found.remote.loads == process.loads == [other]
            found.engine.require({NAME})
            assert found.remote.required == process.required == {NAME}
            found.engine.unload(other.name)
            assert found.remote.unloads == process.unloads == [other.name]
            with pytest.raises(ModelError, match="no such model"):
                await found.engine.classify(other.name, [WINDOW])

    play(scene)


def test_an_engine_that_is_left_ends_the_process_and_what_waits() -> None:
    async def scene() -> None:
        async with stage() as found:
            process = await found.process()
            answer = asyncio.ensure_future(found.answer())
            ready = asyncio.ensure_future(found.engine.ready())
            await asyncio.sleep(0)
        assert not process.is_open
        assert not found.remote.is_open
        assert found.told[-1].phase == "stopped"
        for each in (answer, ready):
            with pytest.raises(WorkerError):
                await each

    play(scene)
