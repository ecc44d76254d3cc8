"""The local engine with a real model process, which is started, killed, stopped and orphaned."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.audio.types import Floats, Samples
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.config import settings as config
from earmark.engines import wire
from earmark.engines.supervisor import LocalEngine
from earmark.errors import ModelError, WorkerError
from earmark.inference.engine import EngineState
from earmark.inference.scores import softmax
from tests import checkpoints, exported, warm
from tests.machine import Machine

SETTINGS = config.Worker(threads=1, device="cpu")
DEADLINE = 120  # seconds; this machine may be busy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs signals and pidfd_open as Linux has them")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Checkpoint:
    """A checkpoint; as the parameter "onnx" of a test, with an exported network beside it."""
    folder = checkpoints.save(tmp_path_factory.mktemp("tiny"), "whisper")
    if getattr(request, "param", "torch") == "onnx":
        exported.write(folder)
    return reader.read(folder, "test/tiny")


on_both_engines = pytest.mark.parametrize("tiny", ["torch", "onnx"], indirect=True)


def clips(count: int, length: int = checkpoints.RATE) -> list[Samples]:
    random = np.random.default_rng(count)
    return [random.normal(0, 0.1, length).astype(np.float32) for _ in range(count)]


class Followed(LocalEngine):
    """An engine whose states are recorded. `at_ready` is called with the process id each time it becomes ready."""

    def __init__(self, *found: Checkpoint, settings: config.Worker = SETTINGS) -> None:
        self.states: list[EngineState] = []
        self.at_ready: Callable[[int], None] = lambda pid: None
        super().__init__(settings, found, on_change=self._record)

    def _record(self, state: EngineState) -> None:
        self.states.append(state)
        if state.phase == "ready" and state.pid:
            self.at_ready(state.pid)


def play(scene: Callable[[], Awaitable[Any]]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(DEADLINE):
            return await scene()

    return asyncio.run(bounded())


def sends(name: signal.Signals) -> Callable[[int], None]:
    return lambda pid: os.kill(pid, name)


def test_an_engine_says_what_it_waits_for_and_answers_as_the_bare_model(tiny: Checkpoint) -> None:
    from earmark.worker import model  # torch, which this file must not load before it knows that it is wanted
    from earmark.worker.device import choose_device

    async def scene() -> tuple[list[EngineState], list[Floats]]:
        async with Followed(tiny) as engine:
            await engine.ready()
            alone = [await engine.classify("test/tiny", [clip]) for clip in clips(32)[:2]]
            together = await engine.classify("test/tiny", clips(32))
            too_many_for_a_slot = await engine.classify("test/tiny", clips(3, 2_000_000))
            assert too_many_for_a_slot.shape == (3, len(checkpoints.LABELS))
            with pytest.raises(WorkerError, match="too long"):
                await engine.classify("test/tiny", clips(1, 5_000_000))
        return engine.states, [*alone, together]

    states, (first, second, together) = play(scene)
    phases = list(dict.fromkeys(state.phase for state in states))
    assert phases == ["starting", "loading", "ready", "stopped"]
    assert {"importing torch and transformers", "loading test/tiny"} <= {state.detail for state in states}
    assert (states[-2].device, states[-2].loaded, states[-2].restarts) == ("cpu", {"test/tiny"}, 0)
    assert states[-1].pid is None
    assert together.shape == (32, len(checkpoints.LABELS))
    assert np.abs(np.concatenate([first, second]) - together[:2]).max() < 1e-4
    bare = model.load("bare", Path(tiny.path), choose_device("cpu"), "fp32")
    assert np.abs(softmax(bare.classify(np.stack(clips(32)))) - softmax(together)).max() < 1e-5


@on_both_engines
@pytest.mark.scenario(7)
def test_a_batch_under_which_the_process_dies_is_tried_once_more_and_answered(tiny: Checkpoint) -> None:
    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            before = await engine.classify("test/tiny", clips(4))
            pid = engine.state.pid
            assert pid
            os.kill(pid, signal.SIGSTOP)  # so that the batch is in its middle
            answer = asyncio.create_task(engine.classify("test/tiny", clips(4)))
            await asyncio.sleep(0)  # the request is with the process
            os.kill(pid, signal.SIGKILL)
            assert np.array_equal(await answer, before)
            assert (engine.state.phase, engine.state.restarts) == ("ready", 1)
            assert engine.state.pid not in (pid, None)
            assert any("was killed by SIGKILL" in state.detail for state in engine.states)

    play(scene)


@on_both_engines
@pytest.mark.scenario(7)
def test_a_batch_that_kills_twice_fails_and_the_one_behind_it_does_not(tiny: Checkpoint) -> None:
    async def scene() -> None:
        async with Followed(tiny) as engine:
            engine.at_ready = sends(signal.SIGSTOP)  # each process stops before it sees a batch
            await engine.ready()
            deadly = asyncio.create_task(engine.classify("test/tiny", clips(2)))
            behind = asyncio.create_task(engine.classify("test/tiny", clips(3)))
            await asyncio.sleep(0)
            engine.at_ready = lambda pid: (sends(signal.SIGSTOP)(pid), sends(signal.SIGKILL)(pid))[0]
            assert engine.state.pid
            os.kill(engine.state.pid, signal.SIGKILL)
            while engine.state.restarts < 2:
                await engine.changed()
            engine.at_ready = lambda pid: None
            with pytest.raises(WorkerError, match="died 2 times under the same batch of 2"):
                await deadly
            assert (await behind).shape == (3, len(checkpoints.LABELS))

    play(scene)


@on_both_engines
@pytest.mark.scenario(7)
def test_a_process_that_hangs_is_killed_and_the_batch_answered_by_the_next(tiny: Checkpoint) -> None:
    async def scene() -> None:
        settings = config.Worker(threads=1, device="cpu", timeout=3.0)
        async with Followed(tiny, settings=settings) as engine:
            await engine.ready()
            assert engine.state.pid
            os.kill(engine.state.pid, signal.SIGSTOP)
            assert (await engine.classify("test/tiny", clips(2))).shape == (2, len(checkpoints.LABELS))
            assert any("did not answer within 3 s" in state.detail for state in engine.states)
            assert engine.state.restarts == 1

    play(scene)


@pytest.mark.scenario(7)
def test_an_idle_process_that_hangs_is_seen_and_replaced_within_seconds(tiny: Checkpoint) -> None:
    async def scene() -> list[EngineState]:
        async with Followed(tiny) as engine:
            await engine.ready()
            pid = engine.state.pid
            assert pid
            with Machine() as machine:
                os.kill(pid, signal.SIGSTOP)
                begun = time.monotonic()
                while engine.state.phase == "ready":
                    await engine.changed()
                assert (engine.state.phase, engine.state.pid) == ("unresponsive", pid)
                # worker.max_age is 2: so no window is too old before
                assert time.monotonic() - begun < 2 + machine.late(begun)
            await engine.ready()
            assert engine.state.pid not in (None, pid)
            assert (await engine.classify("test/tiny", clips(1))).shape == (1, len(checkpoints.LABELS))
        return engine.states

    assert any("has sent nothing for 5 s and was killed" in state.detail for state in play(scene))


@pytest.mark.scenario(7)
def test_a_process_that_hung_for_a_moment_goes_on(tiny: Checkpoint) -> None:
    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            pid = engine.state.pid
            assert pid
            os.kill(pid, signal.SIGSTOP)
            while engine.state.phase == "ready":
                await engine.changed()
            os.kill(pid, signal.SIGCONT)
            await engine.ready()
            assert (engine.state.pid, engine.state.restarts, engine.state.detail) == (pid, 0, "")

    play(scene)


def test_after_a_death_a_spare_serves_without_importing_torch_again(tiny: Checkpoint) -> None:
    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            first = engine.state.pid
            assert first
            engine.states.clear()
            os.kill(first, signal.SIGKILL)
            while engine.state.restarts == 0:
                await engine.changed()
            await engine.ready()
            details = [state.detail for state in engine.states]
            assert any("was killed by SIGKILL; it is started again at once" in detail for detail in details)
            assert "importing torch and transformers" not in details
            assert engine.state.pid not in (None, first)

    play(scene)


def test_without_a_spare_the_next_process_imports_torch(tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    warm.alone(monkeypatch)

    async def scene() -> None:
        async with Followed(tiny, settings=config.Worker(threads=1, device="cpu", spare=False)) as engine:
            await engine.ready()
            engine.states.clear()
            assert engine.state.pid
            os.kill(engine.state.pid, signal.SIGKILL)
            while engine.state.restarts == 0:
                await engine.changed()
            await engine.ready()
            assert "importing torch and transformers" in [state.detail for state in engine.states]

    play(scene)


def test_a_template_that_dies_takes_its_process_along_and_both_are_started_again(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    warm.alone(monkeypatch)

    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            first = engine.state.pid
            assert first
            os.kill(parent(first), signal.SIGKILL)
            while engine.state.restarts == 0:
                await engine.changed()
            await engine.ready()
            assert engine.state.pid not in (None, first)
            assert parent(engine.state.pid or 0) != os.getpid()

    play(scene)


def test_importing_what_the_models_need_asks_for_no_gpu() -> None:
    """A process that has asked for one cannot be forked into one that uses it."""
    subprocess.run([sys.executable, "-c", ASKS_FOR_NO_GPU], check=True, env=environment(), timeout=DEADLINE)


ASKS_FOR_NO_GPU = """
import torch

def refuse(*arguments):
    raise SystemExit("the GPU was asked for")

torch.cuda.device_count = torch.cuda.is_available = torch.cuda._lazy_init = refuse
from earmark.worker import model
"""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_errors_of_one_model_or_one_batch_leave_the_process_alive(tmp_path: Path, tiny: Checkpoint) -> None:
    from safetensors.torch import load_file, save_file

    broken = reader.read(checkpoints.save(tmp_path, "wav2vec2"), "test/broken")
    weights = load_file(tmp_path / "model.safetensors")
    headless = {name: weight for name, weight in weights.items() if not name.startswith(("classifier", "projector"))}
    save_file(headless, tmp_path / "model.safetensors", metadata={"format": "pt"})
    family = reader.read(checkpoints.save(tmp_path / "family", "wav2vec2"), "test/family")

    async def scene() -> None:
        async with Followed(broken, tiny, family) as engine:
            with pytest.raises(ModelError, match=r"test/broken: .* classifier\.bias, classifier\.weight, projector"):
                await engine.ready()
            assert engine.state.phase == "ready"
            assert engine.state.loaded == {"test/tiny", "test/family"}
            with pytest.raises(ModelError, match="test/broken: "):
                await engine.classify("test/broken", clips(1))
            with pytest.raises(ModelError, match="test/other: no such model"):
                await engine.classify("test/other", clips(1))
            with pytest.raises(WorkerError, match="test/family: RuntimeError"):
                await engine.classify("test/family", clips(1, 399))
            assert engine.state.pid
            for ignored in (signal.SIGINT, signal.SIGTERM):
                os.kill(engine.state.pid, ignored)
            assert (await engine.classify("test/family", clips(1, 400))).shape == (1, 5)
            assert engine.state.restarts == 0

    play(scene)


def test_an_unloaded_model_frees_its_memory_while_another_is_served(tmp_path: Path, tiny: Checkpoint) -> None:
    large = reader.read(checkpoints.save(tmp_path, "whisper", width=768, layers=10), "test/large")
    size = (tmp_path / "model.safetensors").stat().st_size
    assert size > 200e6

    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            empty = resident(engine)
            for _ in range(2):
                engine.load(large)
                assert (await engine.classify("test/large", clips(1))).shape == (1, len(checkpoints.LABELS))
                assert resident(engine) > empty + 0.8 * size
                last = asyncio.create_task(engine.classify("test/large", clips(2)))
                await asyncio.sleep(0)  # the request is with the process
                engine.unload("test/large")
                assert engine.state.loaded == {"test/tiny"}
                assert (await last).shape == (2, len(checkpoints.LABELS))
                with pytest.raises(ModelError, match="test/large: no such model"):
                    await engine.classify("test/large", clips(1))
                await engine.classify("test/tiny", clips(1))  # the process takes requests in order
                assert resident(engine) < empty + 0.2 * size
            assert engine.state.restarts == 0

    play(scene)


def test_a_model_that_is_unloaded_while_it_is_loaded_is_not_served_until_it_is_loaded_again(
    tiny: Checkpoint,
) -> None:
    async def scene() -> None:
        second = replace(tiny, name="test/second")
        async with Followed(tiny) as engine:
            await engine.ready()
            engine.load(second)
            engine.unload("test/second")
            assert engine.state.loading == frozenset()
            engine.load(second)
            assert (await engine.classify("test/second", clips(1))).shape == (1, len(checkpoints.LABELS))
            engine.unload("test/second")
            engine.unload("test/second")
            engine.unload("test/unknown")
            with pytest.raises(ModelError, match="test/second: no such model"):
                await engine.classify("test/second", clips(1))
            assert engine.state.loaded == {"test/tiny"}
            assert engine.state.restarts == 0

    play(scene)


def test_a_daemon_does_not_wait_for_a_model_that_is_unloaded_before_it_is_loaded(tiny: Checkpoint) -> None:
    async def scene() -> None:
        second = replace(tiny, name="test/second")
        async with Followed(tiny, second) as engine:
            engine.unload("test/second")
            await engine.ready()
            assert engine.state.loaded == {"test/tiny"}

    play(scene)


def test_a_model_that_was_refused_is_tried_again_when_it_is_loaded_again(tmp_path: Path, tiny: Checkpoint) -> None:
    folder = checkpoints.save(tmp_path, "whisper")
    found = reader.read(folder, "test/mended")
    weights = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(b"nothing of the kind")

    async def scene() -> None:
        async with Followed(tiny) as engine:
            await engine.ready()
            engine.load(found)
            with pytest.raises(ModelError, match="test/mended: "):
                await engine.classify("test/mended", clips(1))
            (folder / "model.safetensors").write_bytes(weights)
            engine.load(found)
            assert engine.state.loading == {"test/mended"}
            assert engine.state.refused == {}
            assert (await engine.classify("test/mended", clips(1))).shape == (1, len(checkpoints.LABELS))

    play(scene)


def resident(engine: LocalEngine) -> int:
    """Bytes of the process that are in memory."""
    return int(Path(f"/proc/{engine.state.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_an_engine_that_is_left_while_it_starts_ends_its_process_and_fails_the_calls_that_wait(
    tiny: Checkpoint,
) -> None:
    async def scene() -> None:
        async with Followed(tiny) as engine:
            waiting = asyncio.create_task(engine.classify("test/tiny", clips(1)))
            while engine.state.pid is None:
                await engine.changed()
            pid = engine.state.pid
        with pytest.raises(WorkerError, match="stopped"):
            await waiting
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)

    play(scene)


@pytest.mark.scenario(7)
def test_a_process_that_cannot_start_is_reported_after_many_deaths(
    tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setattr("earmark.engines.deaths.FIRST_DELAY_SECONDS", 0.001)

    async def scene() -> None:
        async with Followed(tiny) as engine:
            with pytest.raises(WorkerError, match=r"does not serve: .*cannot be started"):
                await engine.ready()
            assert (engine.state.phase, engine.state.restarts) == ("failed", 5)

    play(scene)


ANSWERS_UNASKED = """#!{python}
import os, sys
from earmark.engines import wire
os.write(int(sys.argv[5]), wire.frame(wire.Logits(99, 1, b"")))
sys.stdin.read()
"""


def test_an_answer_that_no_batch_waits_for_costs_a_restart_and_not_the_supervision(
    tmp_path: Path, tiny: Checkpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "python"
    program.write_text(ANSWERS_UNASKED.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    monkeypatch.setattr("earmark.engines.deaths.FIRST_DELAY_SECONDS", 0.001)

    async def scene() -> None:
        async with Followed(tiny, settings=config.Worker(threads=1, device="cpu", spare=False)) as engine:
            with pytest.raises(WorkerError, match="was given up because of an error in the daemon"):
                await engine.ready()
            assert (engine.state.phase, engine.state.restarts) == ("failed", 5)

    play(scene)


def test_an_engine_without_models_is_ready_and_so_is_one_whose_refused_model_is_unloaded(tiny: Checkpoint) -> None:
    async def scene() -> None:
        async with Followed() as engine:
            await engine.ready()
            engine.load(tiny)
            assert (await engine.classify("test/tiny", clips(1))).shape == (1, len(checkpoints.LABELS))
        async with Followed(replace(tiny, path="/nowhere")) as engine:
            with pytest.raises(ModelError):
                await engine.ready()
            engine.unload("test/tiny")
            await engine.ready()

    play(scene)


DAEMON = """
import asyncio, sys
from pathlib import Path
from earmark.config import settings as config
from earmark.checkpoints import reader
from earmark.checkpoints.checkpoint import Checkpoint
from earmark.engines.supervisor import LocalEngine

async def main():
    async with LocalEngine(config.Worker(threads=1), [reader.read(Path(sys.argv[1]))]) as engine:
        await engine.ready()
        print(engine.state.pid, flush=True)
        await asyncio.Event().wait()

asyncio.run(main())
"""


def test_the_process_dies_with_the_daemon(tiny: Checkpoint) -> None:
    daemon = subprocess.Popen([sys.executable, "-c", DAEMON, str(tiny.path)], stdout=subprocess.PIPE, env=environment())
    with daemon:
        assert daemon.stdout
        process = os.pidfd_open(int(daemon.stdout.readline()))
        try:
            daemon.kill()
            assert select.select([process], [], [], DEADLINE)[0], "the model process outlived the daemon"
        finally:
            os.close(process)


def test_the_process_ends_with_the_stream_even_in_the_middle_of_a_message() -> None:
    ours, theirs = socket.socketpair()
    slots = wire.Slots.create()
    command = [
        sys.executable,
        "-m",
        "earmark.worker.serve",
        "torch",
        *map(str, (theirs.fileno(), slots.fd, os.getpid())),
    ]
    with subprocess.Popen(command, pass_fds=(theirs.fileno(), slots.fd), env=environment()) as process:
        theirs.close()
        ours.sendall(wire.frame(wire.Start("cpu", "fp32", 1, 4))[:-3])
        ours.close()
        assert process.wait(DEADLINE) == 0
    slots.close()


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(Path(wire.__file__).parents[2])}
