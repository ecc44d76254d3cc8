from __future__ import annotations

from collections.abc import Callable

import pytest

from earmark.config.settings import Decide
from earmark.tuning.choose import GRID, choose, sweep
from earmark.tuning.replay import Decided, Detection
from earmark.tuning.truth import Tally, Truth


def errors(text: str) -> list[tuple[float, Tally]]:
    """Thresholds 0.1, 0.2, … with these numbers of errors."""
    return [(round(0.1 * (place + 1), 1), Tally(0, int(count), 0)) for place, count in enumerate(text)]


@pytest.mark.parametrize(
    ("tried", "present", "chosen", "run"),
    [
        ("310001223", 0.4, 0.4, (0.3, 0.5)),
        ("000000000", 0.9, 0.5, (0.1, 0.9)),
        ("909999999", 0.9, 0.2, (0.2, 0.2)),
        ("100110001", 0.2, 0.7, (0.6, 0.8)),  # the longer run, though the present one is in the other
        ("100110011", 0.8, 0.7, (0.6, 0.7)),  # of equally long runs the nearest to the present one
        ("100110011", 0.1, 0.2, (0.2, 0.3)),
    ],
)
def test_the_threshold_has_the_least_errors_and_the_widest_margin(
    tried: str, present: float, chosen: float, run: tuple[float, float]
) -> None:
    found = choose("happy", present, errors(tried))
    assert (found.chosen, (found.low, found.high)) == (chosen, run)


def heard_at(scores: dict[float, str]) -> Callable[[Decide], Decided]:
    """A decider that hears each of these labels at a second of its own where its score reaches `on`."""

    def decide(settings: Decide) -> Decided:
        found = [
            Detection(label, float(place), place + 0.5, score)
            for place, (score, label) in enumerate(scores.items())
            if score >= settings.labels.get(label, settings.on)
        ]
        return Decided(tuple(found), ())

    return decide


def test_a_false_alarm_moves_the_threshold_above_it() -> None:
    decide = heard_at({0.9: "happy", 0.62: "happy"})
    (choice,) = sweep(decide, Decide(on=0.5, off=0.3), ["happy", "sad"], [Truth("happy", 0.0, 0.5)])
    assert (choice.now, choice.then) == (Tally(1, 0, 1), Tally(1, 0, 0))
    assert (choice.low, choice.high, choice.chosen) == (0.65, 0.9, 0.75)


def test_without_a_truth_the_present_threshold_stays_and_its_run_is_told() -> None:
    decide = heard_at({0.9: "happy", 0.62: "happy"})
    (choice,) = sweep(decide, Decide(on=0.7), ["happy"], None)
    assert (choice.chosen, choice.low, choice.high) == (0.7, 0.65, 0.9)


def test_every_threshold_of_the_grid_and_the_present_ones_are_tried() -> None:
    tried: list[float] = []

    def decide(settings: Decide) -> Decided:
        tried.append(settings.on)
        return Decided((), ())

    sweep(decide, Decide(on=0.33), ["happy"], None)
    assert sorted({*tried}) == sorted({*GRID, 0.33})
