from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from earmark.app.passing import PassingEvents
from earmark.audio.types import SECOND
from earmark.gating.meter import Loudness, Reading
from earmark.protocol.events import GateLevel, Level, Passing, Tick
from earmark.windowing.messages import SourceLevel

NOW = datetime(2026, 11, 22, 7, 31, 5, 120_000, UTC)


def test_a_level_has_the_time_of_its_last_sample_and_rounded_values() -> None:
    sent: list[Passing] = []
    passing = PassingEvents(sent.append, lambda: 7, monotonic=lambda: 3 * SECOND, utc=lambda: NOW)
    gates = {"words": Reading(True, 0.93333, 0.5, -61.04), "all": Reading(True)}
    passing.level(SourceLevel("desk", Loudness(-42.13, -30.16, -60.0), -61.04, gates, 3 * SECOND - SECOND // 10))
    assert sent == [
        Level(
            "desk",
            "2026-11-22T07:31:05.020Z",
            -42.1,
            -30.2,
            -61.0,
            {"words": GateLevel(True, 0.93, 0.5), "all": GateLevel(True)},
        )
    ]


def test_ticks_tell_the_newest_number_until_the_end() -> None:
    async def scenario() -> list[Passing]:
        newest = 41
        sent: list[Passing] = []
        three = asyncio.Event()

        def take(event: Passing) -> None:
            sent.append(event)
            if len(sent) == 3:
                three.set()

        def number() -> int:
            nonlocal newest
            newest += 1
            return newest

        with PassingEvents(take, number, seconds=0.001, utc=lambda: NOW):
            await asyncio.wait_for(three.wait(), 60)
        told = sent.copy()
        await asyncio.sleep(0)
        assert sent == told
        return told

    assert asyncio.run(scenario()) == [Tick(seq, "2026-11-22T07:31:05.120Z") for seq in (42, 43, 44)]
