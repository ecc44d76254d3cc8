"""Levels and ticks of a running daemon: who asks for them gets them, and nobody else."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import aclosing
from datetime import datetime
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
                    if sum(isinstance(each, Tick) for each in metered) == 2:
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
        ticks = [event for event in metered if isinstance(event, Tick)]
        levels = [event for event in metered if isinstance(event, Level)]
        assert 0 < ticks[0].seq <= ticks[1].seq
        apart = datetime.fromisoformat(ticks[1].time) - datetime.fromisoformat(ticks[0].time)
        assert apart.total_seconds() == pytest.approx(5, abs=1)
        assert 10 < len(levels) <= 10 * lasted + 2
        assert max(level.db for level in levels) > -40
        assert {(level.source, level.gates["commands"].threshold) for level in levels} == {("desk", 0.5)}
        assert not {"Level", "Tick"} & set(plain)
        told = json.dumps(daemon.events)
        assert '"level"' not in told
        assert '"tick"' not in told
