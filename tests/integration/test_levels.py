"""Levels and ticks of a running daemon: who asks for them gets them, and nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from pathlib import Path

import pytest
import soundfile

import earmark_client
from earmark.protocol.events import Level, Tick
from tests.daemon import DEADLINE, Daemon
from tests.signals import demo

pytestmark = pytest.mark.realtime


def test_levels_and_ticks_come_to_who_names_them_and_to_nobody_else(
    tmp_path: Path,
) -> None:
    samples, rate, _ = demo(longest=8.5)
    soundfile.write(tmp_path / "short.wav", samples, rate)
    config = tmp_path / "earmark.toml"
    config.write_text('[[source]]\nname = "desk"\nkind = "file"\npath = "short.wav"\nloop = true\n')

    async def collect(address: str) -> tuple[list[Level | Tick], list[str]]:
        metered: list[Level | Tick] = []
        plain: list[str] = []

        async def meter() -> None:
            async with aclosing(earmark_client.events(address, types=["level", "tick"])) as events:
                async for event in events:
                    assert isinstance(event, Level | Tick)
                    metered.append(event)
                    if isinstance(event, Tick):
                        return

        async def watch() -> None:
            async with aclosing(earmark_client.events(address)) as events:
                async for event in events:
                    plain.append(type(event).__name__)

        watching = asyncio.create_task(watch())
        try:
            await asyncio.wait_for(meter(), DEADLINE)
        finally:
            watching.cancel()
            await asyncio.wait([watching])
        return metered, plain

    with Daemon("--config", str(config)) as daemon:
        daemon.until(lambda event: event["type"] == "result")
        began = time.monotonic()
        metered, plain = asyncio.run(collect(daemon.address))
        lasted = time.monotonic() - began
        *levels, tick = metered
        assert isinstance(tick, Tick)
        assert 0 < tick.seq
        assert lasted < 8
        assert all(isinstance(level, Level) and level.source == "desk" for level in levels)
        assert 5 * lasted - 10 < len(levels) <= 10 * lasted + 2
        assert max(level.db for level in levels if isinstance(level, Level)) > -40
        gates = [level.gates["commands"] for level in levels if isinstance(level, Level)]
        assert {gate.threshold for gate in gates} == {0.5}
        assert not {"Level", "Tick"} & set(plain)
        told = json.dumps(daemon.events)
        assert '"level"' not in told
        assert '"tick"' not in told
