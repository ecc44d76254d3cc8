"""The local engine with a real model process whose GPU fails, or whose memory grows."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ModelError, WorkerDied, WorkerError
from earmark.inference.engine import EngineState
from tests import checkpoints, sick_worker, warm
from tests.daemon import DEADLINE, ROOT

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a spare worker"),
    pytest.mark.scenario(7),
]
TINY = "test/tiny"


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return reader.read(checkpoints.save(tmp_path_factory.mktemp("tiny"), "whisper"), TINY)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let model processes be sick ones. Returns the file that says how their GPU is."""
    file = tmp_path / "gpu"
    file.write_text("gone")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{warm.SITE}")
    monkeypatch.setenv("EARMARK_TEST_GPU", str(file))
    monkeypatch.setattr("earmark.launching.launch.MODULE", "tests.sick_worker")
    monkeypatch.setattr("earmark.placement.probe.MODULE", "tests.sick_worker")
    monkeypatch.setattr("earmark.engines.deaths.FIRST_DELAY_SECONDS", 0.01)
    return file


def window(first: float = 0.0) -> Samples:
    samples: Samples = np.zeros(checkpoints.RATE, np.float32)
    samples[0] = first
    return samples


def play(scene: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(3 * DEADLINE):
            return await scene()

    return asyncio.run(bounded())


async def until(engine: LocalEngine, holds: Callable[[EngineState], bool]) -> EngineState:
    while not holds(engine.state):
        await engine.changed()
    return engine.state


def test_models_move_to_the_cpu_when_the_gpu_is_gone_full_or_broken_and_back_when_it_works(
    tiny: Checkpoint, gpu: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("earmark.placement.fallback.FIRST_RETRY_SECONDS", 0.01)
    monkeypatch.setattr("earmark.placement.fallback.MAX_RETRY_SECONDS", 0.01)

    def on_cpu(state: EngineState) -> bool:
        return state.phase == "ready" and state.device == "cpu"

    def on_gpu(state: EngineState) -> bool:
        return state.phase == "ready" and state.device == "cuda"

    async def scene() -> None:
        settings = config.Worker(threads=1, device="cuda", precision="bf16", fallback="cpu")
        async with LocalEngine(settings, [tiny]) as engine:
            state = await until(engine, on_cpu)
            assert 'no "cuda"' in state.fallback
            assert (await engine.classify(TINY, [window()])).shape == (1, len(checkpoints.LABELS))
            gpu.write_text("full")
            state = await until(engine, lambda state: on_cpu(state) and "CUDA out of memory" in state.fallback)
            assert not state.refused
            gpu.write_text("works")
            state = await until(engine, on_gpu)
            assert state.fallback == ""
            monkeypatch.setattr("earmark.placement.fallback.FIRST_RETRY_SECONDS", 600)
            monkeypatch.setattr("earmark.placement.fallback.MAX_RETRY_SECONDS", 600)
            gpu.write_text("broken")
            with pytest.raises(WorkerDied):
                await engine.classify(TINY, [window()])
            # the third process that dies is the last one there, and the batch is tried once more
            assert (await engine.classify(TINY, [window()])).shape == (1, len(checkpoints.LABELS))
            assert (engine.state.device, engine.state.phase) == ("cpu", "ready")
            assert "CUDA error: unspecified launch failure" in engine.state.fallback

    play(scene)


def test_without_a_fallback_a_gpu_that_is_gone_is_an_error(tiny: Checkpoint, gpu: Path) -> None:
    async def scene() -> None:
        async with LocalEngine(config.Worker(threads=1, device="cuda"), [tiny]) as engine:
            with pytest.raises(ModelError, match='has no "cuda"'):
                await engine.ready()
            assert (engine.state.phase, engine.state.fallback) == ("failed", "")

    play(scene)


def test_a_process_that_grows_slowly_is_replaced_between_two_batches_and_one_batch_that_takes_too_much_kills_it(
    tiny: Checkpoint, gpu: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("earmark.engines.deaths.HEALTHY_SECONDS", 0.0)

    async def scene() -> None:
        async with LocalEngine(config.Worker(threads=1, device="cpu", memory_mb=1), [tiny]) as engine:
            await engine.ready()
            alone = resident_mb(engine)
            assert (await engine.classify(TINY, [window(sick_worker.LEAK)])).shape[0] == 1
            assert (engine.state.restarts, engine.state.outgrown) == (0, 0)  # there is no room to begin with
        assert [record.levelname for record in caplog.records if "worker.memory_mb: 1 MB" in record.message] == [
            "ERROR"
        ]

        settings = config.Worker(threads=1, device="cpu", memory_mb=round(alone) + 150)
        states: list[EngineState] = []
        async with LocalEngine(settings, [tiny], on_change=states.append) as engine:
            await engine.ready()
            for restarts in (0, 1):
                pid = engine.state.pid
                for _ in range(4):  # 40 MB each
                    assert engine.state.restarts == restarts
                    assert (await engine.classify(TINY, [window(sick_worker.LEAK)])).shape[0] == 1
                await until(engine, partial(serves_another, pid))
            assert (engine.state.restarts, engine.state.outgrown) == (2, 2)
            assert any("past worker.memory_mb, and was replaced" in state.detail for state in states)

            with pytest.raises(WorkerDied, match="died 2 times"):
                await engine.classify(TINY, [window(sick_worker.BURST)])
            await until(engine, lambda state: state.outgrown == 4)
            assert any("under one batch, past worker.memory_mb, and was killed" in state.detail for state in states)
            with pytest.raises(WorkerDied):  # this one allocates at once more than the system lets it have
                await engine.classify(TINY, [window(sick_worker.EXCEED)], attempts=1)
            await until(engine, lambda state: state.restarts == 5)
            assert any("DefaultCPUAllocator" in state.detail for state in states)
            with pytest.raises(WorkerError, match="cannot bear"):
                await engine.classify(TINY, [window(sick_worker.FAIL)])
            assert (await engine.classify(TINY, [window()])).shape[0] == 1
            assert engine.state.restarts == 5  # an exception of the model's ends no process

    play(scene)


def serves_another(pid: int | None, state: EngineState) -> bool:
    return state.pid not in (None, pid) and state.phase == "ready"


def resident_mb(engine: LocalEngine) -> float:
    from earmark.placement.resident import resident

    return (resident(engine.state.pid or 0) or 0) / 1e6
