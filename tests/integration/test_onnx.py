"""The local engine with exported networks: torch is imported where a model needs it, and nowhere else."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Samples
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ModelError
from earmark.placement.known_threads import KnownThreads
from tests import checkpoints, exported

DEADLINE = 120  # seconds
TINY = "test/tiny"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and a spare worker")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint without an exported network."""
    return checkpoints.save(tmp_path_factory.mktemp("whisper"), "whisper")


@pytest.fixture
def folder(whisper: Path, tmp_path: Path) -> Path:
    """The same in a folder of the test's own."""
    for file in whisper.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def tiny(folder: Path, name: str = TINY) -> Checkpoint:
    return reader.read(folder, name)


def clips(count: int) -> list[Samples]:
    random = np.random.default_rng(count)
    return [random.normal(0, 0.1, checkpoints.RATE).astype(np.float32) for _ in range(count)]


def play(scene: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(DEADLINE):
            return await scene()

    return asyncio.run(bounded())


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def has_torch(pid: int | None) -> bool:
    return "libtorch" in Path(f"/proc/{pid}/maps").read_text()


def test_a_process_with_exported_networks_alone_imports_no_torch_and_is_replaced_like_any_other(folder: Path) -> None:
    model = tiny(exported.write(folder))

    async def scene() -> None:
        async with LocalEngine(config.Worker(device="cpu"), [model]) as engine:
            await engine.ready()
            for _ in range(2):
                pid = engine.state.pid
                assert pid
                assert not has_torch(pid)
                assert not has_torch(parent(pid))  # the template
                placed = engine.state.placements[TINY]
                assert (placed.engine, placed.device, placed.precision) == ("onnxruntime", "cpu", "fp32")
                assert placed.why == "its folder holds model.onnx, and worker.device is cpu"
                found = await engine.classify(TINY, clips(5))
                assert np.abs(found - exported.logits(np.stack(clips(5)))).max() < 1e-6
                os.kill(pid, signal.SIGKILL)
                while engine.state.pid in (pid, None):
                    await engine.changed()
                await engine.ready()

    play(scene)


def test_a_model_that_needs_torch_is_loaded_beside_one_that_does_not(folder: Path, whisper: Path) -> None:
    model = tiny(exported.write(folder))

    async def scene() -> None:
        async with LocalEngine(config.Worker(device="cpu", threads=1), [model]) as engine:
            await engine.ready()
            engine.load(tiny(whisper, "test/other"))
            while "test/other" not in engine.state.loaded:
                answer = await engine.classify(TINY, clips(1))  # served meanwhile
                assert answer.shape == (1, 5)
            assert engine.state.placements["test/other"].engine == "torch"
            assert engine.state.placements["test/other"].why == "its folder holds no model.onnx"
            assert (await engine.classify("test/other", clips(2))).shape == (2, 5)
            assert has_torch(engine.state.pid)
            engine.unload("test/other")
            assert (await engine.classify(TINY, clips(2))).shape == (2, 5)
            assert engine.state.restarts == 0

    play(scene)


def broken(folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"no network")


def foreign(folder: Path) -> None:
    exported.write(folder, earmark="7")


def stale(folder: Path) -> None:
    exported.write(folder, weights="9 0")


def with_other_labels(folder: Path) -> None:
    exported.write(folder, factors=(1.0, 2.0))


WRONG = [
    (broken, r"test/tiny: model\.onnx cannot be read \(.*\); export it again"),
    (foreign, r"test/tiny: model\.onnx has format '7', and this version of Earmark knows '1'; export it again"),
    (stale, r"test/tiny: model\.onnx was exported from other weights than those beside it; export it again"),
    (with_other_labels, r"test/tiny: model\.onnx gives float32 of shape \(1, 2\) for a window, and config\.json has 5"),
]


def test_a_network_that_cannot_be_used_is_told_and_torch_takes_its_place_unless_onnx_was_asked_for(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    exported.write(folder)
    model = tiny(folder)

    async def refusals() -> None:
        for spoil, sentence in WRONG:
            spoil(folder)
            async with LocalEngine(config.Worker(engine="onnx", threads=1), [model]) as engine:
                with pytest.raises(ModelError, match=sentence) as caught:
                    await engine.ready()
                assert str(folder) not in str(caught.value)
        (folder / "model.onnx").unlink()
        async with LocalEngine(config.Worker(engine="onnx"), [model]) as engine:
            with pytest.raises(ModelError, match=r"holds no model\.onnx; `earmark export test/tiny` makes one"):
                await engine.ready()

    async def in_its_place() -> None:
        stale(folder)
        async with LocalEngine(config.Worker(device="cpu", threads=1), [model]) as engine:
            await engine.ready()
            assert (await engine.classify(TINY, clips(1))).shape == (1, 5)
            placed = engine.state.placements[TINY]
            assert placed.engine == "torch"
            assert placed.why == "model.onnx was exported from other weights than those beside it; export it again"

    play(refusals)
    play(in_its_place)
    assert sum("; torch runs it instead" in record.getMessage() for record in caplog.records) == 1
    assert "test/tiny runs on torch (cpu, fp32, 1 thread), because model.onnx was exported from" in caplog.text


def test_int8_takes_its_own_file(folder: Path) -> None:
    model = tiny(exported.write(exported.write(folder), "int8", (1.0,) * 5))

    async def scene() -> None:
        async with LocalEngine(config.Worker(device="cpu", precision="int8"), [model]) as engine:
            await engine.ready()
            assert engine.state.placements[TINY].precision == "int8"
            first, *others = (await engine.classify(TINY, clips(1)))[0]
            assert others == [first] * 4

    play(scene)


def test_threads_are_measured_once_and_remembered(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    model, state = tiny(exported.write(folder)), tmp_path_factory.mktemp("state")

    async def scene() -> int:
        async with LocalEngine(config.Worker(device="cpu"), [model], known=KnownThreads(state)) as engine:
            await engine.ready()
            return engine.state.placements[TINY].threads

    threads: int = play(scene)
    content = (state / "threads.json").read_text()
    (line,) = [line for line in content.splitlines() if "onnxruntime" in line]
    assert line.endswith(f": {threads}")
    (state / "threads.json").write_text(content.replace(f": {threads}", ": 3"))
    assert play(scene) == 3
