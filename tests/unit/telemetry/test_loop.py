from __future__ import annotations

import asyncio

import pytest

from earmark.telemetry.loop import PAUSE_SECONDS, Loop, LoopStats


def watched(*late: float) -> LoopStats:
    """What is told after timers that came so many seconds late."""
    now, times = 0.0, iter(late)

    async def pause(seconds: float) -> None:
        nonlocal now
        for each in times:
            now += seconds + each
            return
        raise asyncio.CancelledError

    async def scenario() -> LoopStats:
        loop = Loop(clock=lambda: now, pause=pause)
        watching = asyncio.create_task(loop.watch())
        await asyncio.wait([watching])
        return loop.stats()

    return asyncio.run(scenario())


def test_what_is_counted_is_the_lateness_of_each_timer_without_the_pause() -> None:
    stats = watched(0.0, 0.0006, 0.3, 60.0)
    assert sum(stats.late.counts) == 4
    assert stats.late.sum == pytest.approx(60.3006)
    assert stats.late.counts[0] == 2
    assert stats.late.counts[-1] == 1
    assert PAUSE_SECONDS < 1


def test_a_timer_that_comes_early_by_the_grain_of_the_clock_is_not_late() -> None:
    assert watched(-0.0001).late.sum == 0


def test_tasks_that_are_done_do_not_count() -> None:
    assert watched(0.0).tasks == 1  # that of the test itself: the one that watched has ended
