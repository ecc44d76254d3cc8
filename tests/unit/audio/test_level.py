from __future__ import annotations

import math

import numpy as np
import pytest

from earmark.audio.level import SILENCE_DB, NoiseFloor, decibels
from tests.signals import noise, tone


def levels(floor: NoiseFloor, *heard: float) -> list[float]:
    """Where the floor lies after each step."""
    told = []
    for level in heard:
        floor.feed(level)
        told.append(floor.level)
    return told


def test_a_full_scale_sine_is_three_db_down() -> None:
    assert decibels(tone(16000, 1000, peak=1.0)) == pytest.approx(-3.01, abs=0.01)


def test_the_level_is_that_of_the_whole_stretch() -> None:
    assert decibels(np.full(100, 0.1, np.float32)) == pytest.approx(-20, abs=1e-5)
    assert decibels(np.full(100, -1, np.float32)) == 0
    assert decibels(np.array([1, 0, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)) == pytest.approx(-10)


def test_silence_has_a_level() -> None:
    assert SILENCE_DB == -120
    assert decibels(np.zeros(100, dtype=np.float32)) == -120
    assert decibels(np.zeros(0, dtype=np.float32)) == -120


def test_a_single_sample_has_a_level() -> None:
    assert decibels(np.full(1, 0.1, np.float32)) == pytest.approx(-20, abs=1e-5)


def test_nothing_is_below_silence_and_what_is_just_above_it_has_its_own_level() -> None:
    assert decibels(np.full(100, 10 ** (-120.2 / 20), np.float32)) == -120
    assert decibels(np.full(100, 10 ** (-119.8 / 20), np.float32)) == pytest.approx(-119.8, abs=1e-4)


def test_the_floor_is_not_a_number_before_the_first_step_and_the_first_level_after_it() -> None:
    floor = NoiseFloor(0.1)
    assert math.isnan(floor.level)
    assert floor.feed(-42.0) == 0
    assert floor.level == -42


def test_the_floor_falls_by_three_tenths_of_the_distance_in_each_step() -> None:
    floor = NoiseFloor(0.1)
    assert levels(floor, -20.0, -60.0, -60.0, -60.0) == pytest.approx([-20, -32, -40.4, -46.28])


def test_the_floor_falls_as_fast_whatever_a_step_is() -> None:
    assert levels(NoiseFloor(1.0), -20.0, -60.0) == levels(NoiseFloor(0.01), -20.0, -60.0) == [-20, -32]


def test_a_loud_beginning_is_forgotten_within_a_second() -> None:
    floor = NoiseFloor(0.032)
    assert levels(floor, -10.0, *[-60.0] * 31)[-1] == pytest.approx(-60, abs=0.01)
    assert floor.feed(-40.0) == pytest.approx(20, abs=0.2)


def test_the_floor_rises_by_three_db_a_second() -> None:
    assert levels(NoiseFloor(1.0), -60.0, -40.0, -40.0) == pytest.approx([-60, -57, -54])
    assert levels(NoiseFloor(0.1), -60.0, *[-40.0] * 10)[-1] == pytest.approx(-57)
    assert levels(NoiseFloor(0.1, rise=5.0), -60.0, *[-40.0] * 10)[-1] == pytest.approx(-55)


def test_the_floor_rises_no_higher_than_what_is_heard() -> None:
    assert levels(NoiseFloor(1.0), -60.0, -58.0, -58.0) == [-60, -58, -58]


def test_a_step_is_told_by_how_much_it_lies_above_the_floor_that_it_moved() -> None:
    floor = NoiseFloor(1.0)
    assert [floor.feed(level) for level in (-60.0, -40.0, -60.0)] == pytest.approx([0, 17, -2.1])


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
