"""Thresholds tried one after the other, and the one to choose for each label."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import msgspec

from earmark.config.settings import Decide
from earmark.tuning.replay import Decided
from earmark.tuning.truth import Tally, Truth, tally

GRID = tuple(round(0.05 * step, 2) for step in range(1, 20))


@dataclass(frozen=True, slots=True)
class Choice:
    """What is known of one label: its tally at each threshold that was tried, and the threshold to choose.

    `low` and `high` are the ends of the run of thresholds with equally few errors, in the middle of which it lies.
    """

    label: str
    present: float
    chosen: float
    low: float
    high: float
    tried: tuple[tuple[float, Tally], ...]

    @property
    def now(self) -> Tally:
        return dict(self.tried)[self.present]

    @property
    def then(self) -> Tally:
        return dict(self.tried)[self.chosen]


def choose(label: str, present: float, tried: Sequence[tuple[float, Tally]]) -> Choice:
    """Choose a threshold for a label: one with the least errors, in the middle of the longest run of such thresholds.

    Of equally long runs that wins which is nearest to the present threshold. `tried` has the present one too.
    """
    ordered = sorted(tried)
    least = min(found.errors for _, found in ordered)
    runs = [
        [threshold for threshold, _ in run]
        for good, run in groupby(ordered, key=lambda each: each[1].errors == least)
        if good
    ]
    best = max(runs, key=lambda run: (round(run[-1] - run[0], 4), -min(abs(each - present) for each in run)))
    middle = (best[0] + best[-1]) / 2
    chosen = min(best, key=lambda each: (round(abs(each - middle), 4), abs(each - present)))
    return Choice(label, present, chosen, best[0], best[-1], tuple(ordered))


def sweep(
    decide_with: Callable[[Decide], Decided],
    settings: Decide,
    labels: Sequence[str],
    truth: Sequence[Truth] | None,
    told: Callable[[float], None] = lambda share: None,
) -> list[Choice]:
    """Try each threshold of the grid and the present ones, and choose for each label that is heard or to be heard.

    All labels have the same threshold in one trial. Without a truth, what is detected now counts as that, and the
    present thresholds stay: nothing says that another is better. `told` is called with the share of trials done.
    """
    present = {label: settings.labels.get(label, settings.on) for label in labels}
    now = decide_with(settings)
    judged = truth is not None
    if truth is None:
        truth = [Truth(each.label, each.start, each.end) for each in now.detections]
    thresholds = sorted({*GRID, *present.values()})
    distance = max(0.0, settings.on - settings.off)
    trials: dict[float, Decided] = {}
    for number, threshold in enumerate(thresholds):
        told(number / len(thresholds))
        trials[threshold] = decide_with(with_thresholds(settings, threshold, {}, distance))
    choices = []
    for label in labels:
        places = [place for place in truth if place.label == label]
        tried = []
        for threshold, decided in trials.items():
            its = now if threshold == present[label] else decided
            tried.append((threshold, tally(places, [each for each in its.detections if each.label == label])))
        if places or any(found.false for _, found in tried):
            choice = choose(label, present[label], tried)
            choices.append(choice if judged else replace(choice, chosen=choice.present))
    return choices


def with_thresholds(settings: Decide, on: float, labels: dict[str, float], distance: float) -> Decide:
    """Return the settings with other thresholds; `off` stays as far below `on` as it was."""
    return msgspec.structs.replace(settings, on=on, off=max(0.0, round(on - distance, 4)), labels=labels)
