from __future__ import annotations

import numpy as np
import pytest

from earmark.core.level import SILENCE_DB, NoiseFloor, decibels
from tests.signals import noise, tone


def test_a_full_scale_sine_is_three_db_down() -> None:
    assert decibels(tone(16000, 1000, peak=1.0)) == pytest.approx(-3.01, abs=0.01)


def test_silence_has_a_level() -> None:
    assert decibels(np.zeros(100, dtype=np.float32)) == SILENCE_DB
    assert decibels(np.zeros(0, dtype=np.float32)) == SILENCE_DB


def test_the_floor_follows_the_background_and_speech_hardly_lifts_it() -> None:
    floor = NoiseFloor(0.032)
    for seed in range(100):
        floor.feed(decibels(noise(512, -60, seed)))
    assert floor.level == pytest.approx(-60, abs=1)

    over = [floor.feed(-20.0) for _ in range(10)]

    assert min(over) > 38
    assert floor.feed(-60.0) < 1.1


def test_a_louder_background_is_learnt() -> None:
    floor = NoiseFloor(0.032)
    floor.feed(-60.0)
    over = [floor.feed(-40.0) for _ in range(300)]
    assert over[0] > 19
    assert over[-1] < 1
