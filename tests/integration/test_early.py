"""A model process that is started before its engine is."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from earmark.checkpoints import reader
from earmark.config import settings as config
from earmark.engines.supervisor import LocalEngine
from earmark.launching.early import Early, early
from tests import checkpoints, exported

DEADLINE = 120  # seconds; the machine may be busy

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs a spare worker")


def parent(pid: int | None) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[1])


def test_an_engine_forks_its_processes_from_one_that_was_started_before(tmp_path: Path) -> None:
    model = reader.read(exported.write(checkpoints.save(tmp_path)), "test/tiny")

    async def scene(begun: Early) -> None:
        async with asyncio.timeout(DEADLINE), LocalEngine(config.Worker(device="cpu"), [model], early=begun) as engine:
            await engine.ready()
            first = engine.state.pid
            assert first
            template = parent(first)
            os.kill(first, signal.SIGKILL)
            while engine.state.pid in (first, None):
                await engine.changed()
            await engine.ready()
            assert parent(engine.state.pid) == template
            assert begun.process.returncode is None
            os.kill(template, signal.SIGKILL)  # then both are started anew
            while engine.state.restarts < 2:
                await engine.changed()
            await engine.ready()
            assert parent(engine.state.pid) not in (template, os.getpid())

    with Early({"onnx"}) as begun:
        asyncio.run(scene(begun))
    assert begun.process.returncode == -signal.SIGKILL


def test_a_process_that_no_engine_takes_ends_with_the_context() -> None:
    with Early({"onnx"}) as begun:
        assert begun.process.returncode is None
    assert begun.process.returncode == -signal.SIGKILL


def test_none_is_started_where_none_is_wanted() -> None:
    assert early(config.Worker(spare=False), {"onnx"}) is None
    assert early(config.Worker(), set()) is None
