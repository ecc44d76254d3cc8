"""The local engine with a real model process on a made-up GPU that captures graphs and overlaps batches."""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.audio.types import Floats, Samples
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ModelError, WorkerDied, WorkerError
from tests import checkpoints, sick_worker, warm
from tests.daemon import DEADLINE, ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a spare worker")
TINY = "test/tiny"
WINDOWS = 3  # an odd number, which is padded


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return reader.read(checkpoints.save(tmp_path_factory.mktemp("tiny"), "whisper"), TINY)


@pytest.fixture
def gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Return a function that lets model processes have a made-up GPU, and says what comes of a capture there."""
    file = tmp_path / "gpu"
    file.write_text("works")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{warm.SITE}")
    monkeypatch.setenv("EARMARK_TEST_GPU", str(file))
    monkeypatch.setattr("earmark.launching.launch.MODULE", "tests.sick_worker")
    monkeypatch.setattr("earmark.engines.deaths.FIRST_DELAY_SECONDS", 0.01)
    return lambda capture: monkeypatch.setenv("EARMARK_TEST_CUDA", capture)


def batch(number: int = 0) -> list[Samples]:
    noise = np.random.default_rng(number).normal(0, 0.1, (WINDOWS, checkpoints.RATE))
    return list(noise.astype(np.float32))


def play(
    settings: config.Worker, tiny: Checkpoint, scene: Callable[[LocalEngine], Awaitable[None]], pids: set[int]
) -> None:
    """Play the scene with an engine that is ready; `pids` gets the ids of all its processes."""

    async def bounded() -> None:
        async with (
            asyncio.timeout(3 * DEADLINE),
            LocalEngine(settings, [tiny], on_change=lambda state: pids.update({state.pid or 0} - {0})) as engine,
        ):
            await engine.ready()
            await scene(engine)

    asyncio.run(bounded())


def worker(cuda: config.Cuda) -> config.Worker:
    return config.Worker(threads=1, device="cuda", precision="fp32", max_batch=4, cuda=cuda)


@pytest.fixture(scope="module")
def expected(tiny: Checkpoint) -> list[Floats]:
    """The logits of eight batches, on the CPU."""
    found: list[Floats] = []

    async def scene(engine: LocalEngine) -> None:
        found.extend([await engine.classify(TINY, batch(number)) for number in range(8)])

    play(config.Worker(threads=1, device="cpu", engine="torch"), tiny, scene, set())
    return found


def test_graphs_and_batches_that_overlap_change_no_score(
    tiny: Checkpoint, gpu: Callable[[str], None], expected: list[Floats]
) -> None:
    gpu("works")
    pids: set[int] = set()

    async def scene(engine: LocalEngine) -> None:
        why = engine.state.placements[TINY].why
        assert why == "worker.device is cuda; CUDA graphs run batches of 1, 2 and 4 (0 MB)"
        for number in range(0, 8, 2):  # the first of two is not done before the second was begun
            pair = [engine.classify(TINY, batch(number)), engine.classify(TINY, batch(number + 1))]
            for logits, theirs in zip(await asyncio.gather(*pair), expected[number : number + 2], strict=True):
                assert np.allclose(logits, theirs, atol=1e-4)
        with pytest.raises(ModelError):
            await engine.classify("test/other", batch())

    play(worker(config.Cuda(graphs="auto", transfers="overlapped")), tiny, scene, pids)
    assert len(pids) == 1


def test_on_the_cpu_the_settings_for_cuda_change_nothing(tiny: Checkpoint, expected: list[Floats]) -> None:
    async def scene(engine: LocalEngine) -> None:
        placed = engine.state.placements[TINY]
        assert (placed.device, placed.why) == ("cpu", "worker.engine asks for it")
        pair = [engine.classify(TINY, batch(number)) for number in range(2)]
        for logits, theirs in zip(await asyncio.gather(*pair), expected[:2], strict=True):
            assert np.array_equal(logits, theirs)

    cuda = config.Cuda(graphs="auto", transfers="overlapped")
    play(config.Worker(threads=1, device="cpu", engine="torch", cuda=cuda), tiny, scene, set())


@pytest.mark.parametrize("capture", ["dies", "fails"])
def test_after_a_capture_that_ends_the_process_or_fails_the_next_one_serves_without_graphs(
    capture: str,
    tiny: Checkpoint,
    gpu: Callable[[str], None],
    expected: list[Floats],
    caplog: pytest.LogCaptureFixture,
) -> None:
    gpu(capture)
    pids: set[int] = set()
    why = {
        "dies": "the model process was killed by SIGABRT while it captured them",
        "fails": "capturing them failed (RuntimeError: CUDA error: operation not permitted when stream is capturing)",
    }[capture]
    line = {
        "dies": f"{TINY} gets no CUDA graphs any more, because {why}",
        "fails": f"The model process ended because it could not capture the CUDA graphs of {TINY} (RuntimeError",
    }[capture]

    async def scene(engine: LocalEngine) -> None:
        placed = engine.state.placements[TINY]
        assert (placed.device, placed.why) == ("cuda", f"worker.device is cuda; no CUDA graphs, because {why}")
        assert np.allclose(await engine.classify(TINY, batch()), expected[0], atol=1e-4)
        assert engine.state.restarts == 1

    with caplog.at_level(logging.INFO):
        play(worker(config.Cuda(graphs="auto")), tiny, scene, pids)
    assert len(pids) == 2
    assert sum(line in record.message for record in caplog.records) == 1


def test_a_batch_that_fails_when_it_is_begun_is_answered_so_and_a_lost_gpu_ends_the_process(
    tiny: Checkpoint, gpu: Callable[[str], None], expected: list[Floats], tmp_path: Path
) -> None:
    gpu("works")

    async def scene(engine: LocalEngine) -> None:
        wrong = batch()
        wrong[0][0] = sick_worker.FAIL
        with pytest.raises(WorkerError, match="cannot bear"):
            await engine.classify(TINY, wrong)
        assert engine.state.restarts == 0
        (tmp_path / "gpu").write_text("broken")
        with pytest.raises(WorkerDied):
            await engine.classify(TINY, batch(), attempts=1)
        (tmp_path / "gpu").write_text("works")
        pair = [engine.classify(TINY, batch(0)), engine.classify(TINY, batch(1))]
        for logits, theirs in zip(await asyncio.gather(*pair), expected[:2], strict=True):
            assert np.allclose(logits, theirs, atol=1e-4)
        assert engine.state.restarts == 1

    play(worker(config.Cuda(transfers="overlapped")), tiny, scene, set())
