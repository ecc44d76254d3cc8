"""Whether a figure grows over time: a pure judgement of samples that are noisy, and begin anew with each process.

The slope is that of Theil and Sen: the median of the slopes of all pairs of points, which outliers do not move
(P. K. Sen, 1968, "Estimates of the regression coefficient based on Kendall's tau"). Kendall's tau of the same pairs
tells whether noise alone would have such a trend (H. B. Mann, 1945, "Nonparametric tests against trend"). Both points
of a pair are of one life of a process, as those of R. M. Hirsch and J. R. Slack (1984) are of one season of the year:
that a figure falls because the process was replaced says nothing.
"""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

MINUTE = 60.0  # seconds
SPAN_MINUTES = 10.0  # for which slopes are told
LEAST_POINTS = 6  # minutes that can be judged: fewer have no trend that chance does not have
SURE = 2.33  # standard deviations: chance alone exceeds them once in a hundred times


@dataclass(frozen=True, slots=True)
class Sample:
    """A figure at a time in seconds, of the process `life`."""

    at: float
    value: float
    life: int = 0


@dataclass(frozen=True, slots=True)
class Trend:
    """The slope in units per ten minutes, and by how many standard deviations the points rise more than by chance."""

    slope: float
    sureness: float
    points: int

    def grows(self, bound: float) -> bool:
        """Return whether the figure grows by more than `bound` in ten minutes, and not by chance."""
        return self.points >= LEAST_POINTS and self.slope > bound and self.sureness > SURE


def trend(samples: Sequence[Sample], warm_up: float = 0.0) -> Trend:
    """Return the trend of the minutes' medians, without the first `warm_up` seconds of each life but the first.

    The caller leaves out the warm-up of the first life.
    """
    lives = list(_lives(samples, warm_up))
    slopes = [(b.value - a.value) / (b.at - a.at) for points in lives for a, b in combinations(points, 2)]
    rising = sum((slope > 0) - (slope < 0) for slope in slopes)
    variance = sum(n * (n - 1) * (2 * n + 5) / 18 for n in map(len, lives))
    slope = statistics.median(slopes) * SPAN_MINUTES * MINUTE if slopes else 0.0
    sureness = (rising - 1) / math.sqrt(variance) if rising > 0 else 0.0
    return Trend(slope, sureness, sum(len(points) for points in lives if len(points) > 1))


def _lives(samples: Sequence[Sample], warm_up: float) -> Iterator[list[Sample]]:
    """Yield the points of each life."""
    found: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[sample.life].append(sample)
    first = min(found.values(), key=lambda life: life[0].at, default=[])
    for life in found.values():
        began = life[0].at + (0.0 if life is first else warm_up)
        yield minutes([sample for sample in life if sample.at >= began])


def minutes(samples: Sequence[Sample]) -> list[Sample]:
    """Return the median of each minute, at the middle of its samples."""
    found: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        found[int(sample.at // MINUTE)].append(sample)
    return [
        Sample(statistics.mean(each.at for each in here), statistics.median(each.value for each in here), here[0].life)
        for _, here in sorted(found.items())
    ]
