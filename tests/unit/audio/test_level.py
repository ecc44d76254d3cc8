from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import numpy as np
import pytest

from earmark.audio.level import (
    FIRST_DB,
    LEARNING_SECONDS,
    SILENCE_DB,
    NoiseFloor,
    PatientFloor,
    decibels,
    decibels_by_row,
)
from earmark.audio.types import Samples
from tests.signals import noise, tone


def square(peak: float, length: int = 100) -> Samples:
    """A square wave, whose level is that of its peak."""
    return np.resize(np.array([peak, -peak], np.float32), length)


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
    assert decibels(square(0.1)) == pytest.approx(-20, abs=1e-5)
    assert decibels(square(1.0)) == 0
    assert decibels(np.array([1, -1, 0, 0, 0, 0, 0, 0, 0, 0], np.float32)) == pytest.approx(-6.99, abs=0.01)


def test_silence_has_a_level() -> None:
    assert SILENCE_DB == -120
    assert decibels(np.zeros(100, dtype=np.float32)) == -120
    assert decibels(np.zeros(0, dtype=np.float32)) == -120


def test_an_offset_is_no_sound() -> None:
    for offset in (0.001, 0.01, -0.1, 0.5, 1.0):
        assert decibels(np.full(512, offset, np.float32)) == -120
        for level in (-70, -60, -30):
            assert decibels(noise(512, level) + np.float32(offset)) == pytest.approx(
                decibels(noise(512, level)), abs=0.05
            )


def test_nothing_is_below_silence_and_what_is_just_above_it_has_its_own_level() -> None:
    assert decibels(square(10 ** (-120.2 / 20))) == -120
    assert decibels(square(10 ** (-119.8 / 20))) == pytest.approx(-119.8, abs=1e-4)


@pytest.mark.parametrize("rows", [0, 1, 3, 4, 100])
def test_the_levels_of_many_steps_are_those_of_each_to_the_last_bit(rows: int) -> None:
    steps = np.array([noise(512, -10.0 * (row % 13), row) for row in range(rows)], np.float32).reshape(rows, 512)
    steps[1::3] += np.float32(0.25)  # an offset that hides most of them
    steps[2::3, :500] = 0
    assert decibels_by_row(steps) == [decibels(step) for step in steps]


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


def patient(first: float | None = None) -> PatientFloor:
    """A floor with ten steps a second, for a gate that opens 10 dB above it, and which rises 1 dB a second."""
    return PatientFloor(0.1, margin=10.0, rise=1.0, first=first)


def hear(floor: PatientFloor, levels: float | Iterable[float], seconds: float, *, is_open: bool) -> float:
    """Feed levels in turn for a time. Returns the dB of the last step above the floor."""
    heard = itertools.cycle([levels] if isinstance(levels, float) else list(levels))
    over = [floor.feed(next(heard), is_open) for _ in range(round(10 * seconds))]
    return over[-1]


def test_a_sound_that_is_there_from_the_first_step_stands_out() -> None:
    assert patient().feed(-30.0, False) == pytest.approx(-30 - FIRST_DB, abs=0.11)
    assert patient().feed(FIRST_DB - 5, False) == 0


def test_a_background_that_is_known_is_where_the_floor_begins() -> None:
    assert patient(-40.0).feed(-30.0, False) == pytest.approx(9.9)


def test_while_the_gate_is_closed_the_floor_rises_slowly_and_falls_fast() -> None:
    floor = patient(-60.0)
    assert hear(floor, -55.0, 2.0, is_open=False) == pytest.approx(3.0)
    assert hear(floor, -70.0, 2.0, is_open=False) == pytest.approx(0.0, abs=0.05)


def test_while_the_gate_is_open_the_floor_does_not_rise_for_minutes_and_still_falls() -> None:
    floor = patient(-60.0)
    hear(floor, -60.0, 2.0, is_open=False)
    assert hear(floor, -35.0, LEARNING_SECONDS - 1, is_open=True) == pytest.approx(25.0)
    assert hear(floor, -70.0, 2.0, is_open=True) == pytest.approx(0.0, abs=0.05)


def test_after_minutes_without_a_pause_the_lowest_level_in_them_is_background() -> None:
    floor = patient(-60.0)
    hear(floor, -60.0, 2.0, is_open=False)
    assert hear(floor, (-20.0, -25.0), LEARNING_SECONDS, is_open=True) == pytest.approx(0.0)
    assert floor.level == -25


def test_a_pause_begins_the_minutes_again() -> None:
    floor = patient(-60.0)
    hear(floor, -60.0, 2.0, is_open=False)
    for _ in range(3):
        hear(floor, -30.0, LEARNING_SECONDS - 1, is_open=True)
        hear(floor, -60.0, 0.1, is_open=False)
    assert floor.level == pytest.approx(-60.0)


def test_a_noisy_room_from_the_first_step_is_background_as_soon_as_something_stands_out_of_it() -> None:
    floor = patient()
    assert hear(floor, -45.0, 5.0, is_open=True) == pytest.approx(-45 - FIRST_DB)
    hear(floor, -20.0, 1.0, is_open=True)
    assert hear(floor, -45.0, 1.0, is_open=True) == pytest.approx(0.0, abs=0.5)


def test_rain_from_the_first_step_does_not_become_background_by_its_drops() -> None:
    assert hear(patient(), (-30.0, -34.0, -27.0, -36.0), 60.0, is_open=True) > 25


def test_a_sound_with_pauses_does_not_become_background_once_the_floor_is_sure() -> None:
    floor = patient()
    hear(floor, -65.0, 1.0, is_open=False)
    for _ in range(10):
        hear(floor, -20.0, 2.0, is_open=True)
        assert hear(floor, -45.0, 2.0, is_open=True) == pytest.approx(20.0)


def test_a_sound_that_never_pauses_is_learnt_after_exactly_five_minutes_and_again_after_five_more() -> None:
    floor = PatientFloor(0.1, margin=12.0, rise=1.0, first=-60.0)
    for level, before in ((-30.0, -60.0), (-20.0, -30.0)):
        for _ in range(2999):
            floor.feed(level, is_open=True)
        assert floor.level == before
        floor.feed(level, is_open=True)
        assert floor.level == level


def test_a_floor_that_knows_nothing_begins_at_65_db_below_full_scale_at_most() -> None:
    assert PatientFloor(0.1, margin=12.0, rise=1.0).feed(-40.0, is_open=False) == pytest.approx(25.0 - 0.1)
    assert PatientFloor(0.1, margin=12.0, rise=1.0).feed(-80.0, is_open=False) == 0.0


def test_the_patient_floor_falls_by_three_tenths_of_the_distance_though_the_gate_is_open() -> None:
    floor = PatientFloor(0.1, margin=12.0, rise=1.0, first=-60.0)
    floor.feed(-70.0, is_open=True)
    assert floor.level == pytest.approx(-63.0)
