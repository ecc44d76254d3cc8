from __future__ import annotations

import random

import pytest

from benchmarks.growth import LEAST_POINTS, Sample, minutes, trend


def series(
    slope: float, noise: float, *, length: int = 20, seed: int = 0, life: int = 0, start: float = 0
) -> list[Sample]:
    """Samples every ten seconds for so many minutes: 100 and `slope` per ten minutes more, with normal noise."""
    chance = random.Random(seed)
    return [
        Sample(start + at, 100 + slope * at / 600 + chance.gauss(0, noise), life) for at in range(0, 60 * length, 10)
    ]


@pytest.mark.parametrize("seed", range(20))
def test_growth_is_found_in_a_noisy_series(seed: int) -> None:
    found = trend(series(3, 2, seed=seed))
    assert found.grows(1)
    assert found.slope == pytest.approx(3, abs=1.5)


def test_noise_alone_is_no_growth() -> None:
    assert [seed for seed in range(200) if trend(series(0, 2, seed=seed)).grows(1)] == []


def test_noise_alone_is_seldom_growth_even_if_none_is_allowed() -> None:
    assert sum(trend(series(0, 2, seed=seed)).grows(0) for seed in range(200)) <= 6


def test_growth_within_the_bound_is_allowed() -> None:
    assert not trend(series(0.8, 0)).grows(1)
    assert trend(series(1.1, 0)).grows(1)
    assert not trend(series(1, 0)).grows(1.0000001)


def test_a_figure_that_falls_does_not_grow() -> None:
    found = trend(series(-3, 1))
    assert not found.grows(0)
    assert found.slope < 0


def test_peaks_do_not_hide_and_do_not_make_growth() -> None:
    for slope in (0.0, 2.0):
        peaked = [
            Sample(each.at, each.value + 500 * (number % 17 == 0)) for number, each in enumerate(series(slope, 0.5))
        ]
        assert trend(peaked).grows(1) == (slope > 1)


def test_one_descriptor_more_every_two_minutes_is_found() -> None:
    assert trend([Sample(at, 100 + at // 120) for at in range(0, 1200, 10)]).grows(0)


def test_a_number_that_stays_the_same_does_not_grow() -> None:
    found = trend(series(0, 0))
    assert (found.slope, found.grows(0)) == (0, False)


def test_growth_within_each_life_is_found_although_each_begins_low() -> None:
    lives = [each for life in range(4) for each in series(5, 0.5, length=6, seed=life, life=life, start=360 * life)]
    assert trend(lives).grows(1)
    assert not trend([Sample(each.at, each.value) for each in lives]).grows(1)


def test_higher_lives_are_no_growth() -> None:
    lives = [
        Sample(each.at, each.value + 50 * life, life)
        for life in range(4)
        for each in series(0, 0.5, length=6, seed=life, life=life, start=360 * life)
    ]
    assert not trend(lives).grows(1)


def test_the_warm_up_of_later_lives_is_left_out() -> None:
    first, later = series(0, 0, length=8), series(0, 0, length=8, life=1, start=480)
    rising = [Sample(each.at, each.value + min(0, (each.at - 660) / 6), 1) for each in later]  # for three minutes
    assert trend(first + rising).sureness > 0
    assert trend(first + rising, warm_up=180).sureness == 0


def test_a_short_run_is_not_judged() -> None:
    assert trend(series(100, 0, length=LEAST_POINTS)).grows(1)
    assert not trend(series(100, 0, length=LEAST_POINTS - 1)).grows(1)
    assert not trend([]).grows(0)


def test_a_point_is_the_median_of_its_minute() -> None:
    found = minutes([Sample(60, 1), Sample(70, 100), Sample(80, 3), Sample(120, 7)])
    assert found == [Sample(70, 3), Sample(120, 7)]
