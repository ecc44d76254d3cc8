from __future__ import annotations

import numpy as np
import pytest

from earmark.audio.types import SECOND, Samples
from earmark.gating.meter import Loudness, Meter
from tests.signals import noise, tone

RATE = 16000
TENTH = RATE // 10
HUSH = -65.0


def heard(samples: Samples, block: int, *, speed: float = 1.0, rate: int = RATE) -> list[tuple[float, Loudness]]:
    """Feed `samples` in blocks, asking after each; `speed` is how much faster than it sounds. The times in seconds."""
    meter, told = Meter(HUSH), []
    for start in range(0, len(samples) - block + 1, block):
        now = (start + block) / rate / speed
        meter.feed(samples[start : start + block], rate)
        if (loudness := meter.take(int(now * SECOND))) is not None:
            told.append((now, loudness))
    return told


def test_a_level_is_the_rms_and_the_peak_of_the_last_tenth_of_a_second() -> None:
    samples = np.concatenate([tone(TENTH, 500.0, peak=0.5), tone(TENTH, 500.0, peak=0.05)])
    (_, first), (_, second) = heard(samples, 400)
    assert [first.db, first.peak_db] == pytest.approx([-9.03, -6.02], abs=0.02)
    assert [second.db, second.peak_db] == pytest.approx([-29.03, -26.02], abs=0.02)


@pytest.mark.parametrize("block", [160, 512, 1000, 1600, 2400])
def test_sound_in_real_time_gives_ten_levels_a_second_whatever_the_blocks_are(block: int) -> None:
    told = heard(noise(10 * RATE, -30.0), block)
    expected = 100 if block <= TENTH else 10 * RATE // block
    assert len(told) == pytest.approx(expected, abs=1)


@pytest.mark.parametrize("speed", [3.0, 50.0])
def test_a_recording_read_faster_than_it_sounds_gives_ten_levels_a_second_of_real_time(speed: float) -> None:
    told = heard(noise(60 * RATE, -30.0), 1600, speed=speed)
    assert len(told) == pytest.approx(10 * 60 / speed, abs=2)


def test_silence_gives_a_level_a_second_and_the_first_sound_after_it_one_at_once() -> None:
    quiet, loud = np.zeros(35 * TENTH, np.float32), noise(TENTH, -30.0)
    told = heard(np.concatenate([quiet, loud]), TENTH)
    assert [round(now, 1) for now, _ in told] == [0.1, 1.1, 2.1, 3.1, 3.6]
    assert [told[0][1].db, told[0][1].peak_db] == [-120.0, -120.0]


def test_a_burst_gives_the_newest_level_alone() -> None:
    meter = Meter(HUSH)
    meter.feed(np.concatenate([noise(20 * TENTH, -20.0), noise(TENTH, -50.0)]), RATE)
    assert meter.take(SECOND) is not None
    assert meter.take(2 * SECOND) is None


def test_delays_of_single_rounds_do_not_add_up() -> None:
    meter, now, given = Meter(HUSH), 0, 0
    for number in range(100):
        now = number * SECOND // 10 + (SECOND // 25 if number % 3 == 0 else 0)  # every third round is late
        meter.feed(noise(TENTH, -30.0, number), RATE)
        given += meter.take(now) is not None
    assert given >= 99


def test_nothing_is_joined_across_a_gap() -> None:
    meter = Meter(HUSH)
    meter.feed(tone(TENTH - 1, 500.0), RATE)
    meter.forget()
    meter.feed(noise(TENTH - 1, -50.0), RATE)
    assert meter.take(SECOND) is None
    meter.feed(noise(1, -50.0), RATE)
    loudness = meter.take(SECOND)
    assert loudness is not None
    assert loudness.db < -45


def test_a_new_rate_begins_anew() -> None:
    meter = Meter(HUSH)
    meter.feed(tone(TENTH, 500.0), RATE)
    meter.feed(noise(799, -50.0), 8000)
    assert meter.take(SECOND) is None
    meter.feed(noise(1, -50.0), 8000)
    assert meter.take(SECOND) is not None


def test_the_floor_follows_the_quieter_levels() -> None:
    told = heard(np.concatenate([noise(2 * RATE, -60.0), noise(RATE, -20.0)]), TENTH)
    assert told[-1][1].floor == pytest.approx(-57.0, abs=1.5)
