from __future__ import annotations

import pytest

from earmark.capture.pace import AHEAD_SECONDS, CATCH_UP_SECONDS, SPEED, Pace


def play(pace: Pace, seconds: float, start: float, speed: float = 1.0, step: float = 0.1) -> float:
    """Send so much sound at `speed`, waiting as told. Returns the seconds that were waited."""
    now, waited = start, 0.0
    for _ in range(round(seconds / step)):
        wait = pace.wait(now)
        waited += wait
        now += wait
        pace.wait(now)
        pace.came(step)
        now += step / speed
    return waited


@pytest.mark.parametrize("drift", [-0.0005, 0.0, 0.0005])
def test_a_client_in_real_time_is_never_held_back_however_its_crystal_runs(drift: float) -> None:
    assert play(Pace(0.0), 24 * 3600, 0.0, 1 + drift, step=1.0) == 0


def test_a_file_comes_a_second_ahead_and_then_as_fast_as_it_sounds() -> None:
    waited = play(Pace(100.0), 20.0, 100.0, speed=1e9)
    assert waited == pytest.approx((20.0 - AHEAD_SECONDS) / SPEED, abs=0.2)


def test_a_client_that_was_away_may_send_what_it_kept_at_once() -> None:
    pace = Pace(0.0)
    assert play(pace, 60.0, 0.0) == 0
    assert play(pace, 10.0, 70.0, speed=1e9) == 0


def test_but_no_more_than_half_a_minute_of_it() -> None:
    pace = Pace(0.0)
    waited = play(pace, 60.0, 3600.0, speed=1e9)
    assert waited == pytest.approx((60.0 - CATCH_UP_SECONDS) / SPEED, abs=0.2)


def test_nor_is_one_that_comes_back_to_a_daemon_that_has_just_started() -> None:
    pace = Pace(0.0)
    pace.excuse()
    assert play(pace, 10.0, 0.0, speed=1e9) == 0
