"""The engine of the Open Inference Protocol against MLServer, which others made."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

grpc = pytest.importorskip("grpc", reason="the extra oip is not installed")

from earmark.checkpoints.checkpoint import Checkpoint  # noqa: E402
from earmark.config.settings import Remote, Worker  # noqa: E402
from earmark.errors import ModelError, Unavailable  # noqa: E402
from earmark.remote.engine import RemoteEngine  # noqa: E402
from tests.inference_server import levels  # noqa: E402
from tests.oip_peer import ROOT, python_of_others  # noqa: E402
from tests.ports import free_port  # noqa: E402

RATE = 8000
KNOWN = Checkpoint("house/levels", "", ("mean", "peak"), RATE, "wav2vec2", None, None, None, 400)
OTHER = Checkpoint("house/three", "", ("a", "b", "c"), RATE, "wav2vec2", None, None, None, 400)
ABSENT = Checkpoint("house/absent", "", ("a", "b"), RATE, "wav2vec2", None, None, None, 400)


@pytest.fixture(scope="module", autouse=True)
def grpc_runs() -> None:
    """Start the thread of gRPC, which goes on for as long as the process."""

    async def begin() -> None:
        grpc.aio.init_grpc_aio()

    asyncio.run(begin())


@dataclass(frozen=True, slots=True)
class Server:
    address: str
    process: subprocess.Popen[bytes]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with one model, called levels."""
    python = python_of_others("mlserver")
    folder, port = tmp_path_factory.mktemp("mlserver"), free_port()
    (folder / "settings.json").write_text(
        json.dumps(
            {
                "host": "127.0.0.1",
                "grpc_port": port,
                "http_port": free_port(),
                "metrics_port": free_port(),
                "parallel_workers": 0,
                "grpc_max_message_length": 64_000_000,
            }
        )
    )
    model = {"name": "levels", "implementation": "tests.mlserver_levels.Levels"}
    (folder / "model-settings.json").write_text(json.dumps(model))
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [Path(python).with_name("mlserver"), "start", folder],
            env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(folder)},
            cwd=folder,
            stdout=log,
            stderr=log,
        )
    yield Server(f"127.0.0.1:{port}", process)
    process.send_signal(signal.SIGCONT)
    process.terminate()
    process.wait(60)


def test_a_server_that_others_made_classifies_what_it_has_and_refuses_the_rest_by_name(server: Server) -> None:
    names, address = {KNOWN.name: "levels", OTHER.name: "levels"}, server.address

    async def scene() -> None:
        settings = Worker(engine="oip", remote=Remote(endpoints=(address,), names=names))
        async with asyncio.timeout(120), RemoteEngine(settings, [KNOWN]) as engine:
            await engine.ready()
            for windows in (1, 8, 200):
                batch = np.random.default_rng(windows).normal(0, 0.1, (windows, RATE)).astype(np.float32)
                found = await engine.classify(KNOWN.name, list(batch))
                np.testing.assert_allclose(found, levels(batch), atol=1e-6)
            engine.load(OTHER)
            engine.load(ABSENT)
            while not {OTHER.name, ABSENT.name} <= engine.state.refused.keys():
                await engine.changed()
            assert "it answers with 2 scores, and house/three has 3 labels" in engine.state.refused[OTHER.name]
            assert address in engine.state.refused[ABSENT.name]
            with pytest.raises(ModelError, match="house/absent"):
                await engine.classify(ABSENT.name, list(batch))
            assert len(await engine.classify(KNOWN.name, list(batch))) == 200

    asyncio.run(scene())


def test_a_frozen_server_is_away_after_three_seconds_of_silence_and_a_slow_one_never(server: Server) -> None:
    phases: list[str] = []

    async def scene() -> None:
        settings = Worker(engine="oip", remote=Remote(endpoints=(server.address,), names={KNOWN.name: "levels"}))
        batch = np.zeros((2, RATE), np.float32)
        slow = batch.copy()
        slow[0, 0] = 9
        async with (
            asyncio.timeout(120),
            RemoteEngine(settings, [KNOWN], on_change=lambda s: phases.append(s.phase)) as engine,
        ):
            await engine.ready()
            for _ in range(2):
                assert len(await engine.classify(KNOWN.name, list(slow))) == 2
            assert phases[-1] == "ready"
            assert "restarting" not in phases
            server.process.send_signal(signal.SIGSTOP)
            with pytest.raises(Unavailable, match=f"^{server.address} has given no sign of life for 3 s$"):
                await engine.classify(KNOWN.name, list(batch))
            server.process.send_signal(signal.SIGCONT)
            await engine.ready()
            assert len(await engine.classify(KNOWN.name, list(batch))) == 2

    asyncio.run(scene())
