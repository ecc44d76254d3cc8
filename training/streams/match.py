"""Compare a daemon's labels with the truth about a stream: found, mistaken, missed, false alarms, delays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from training.streams.stream import Placed

TOLERANCE = 0.3
"""Seconds by which a label may begin after its recording has ended, or end before it begins."""

NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fired:
    """A label that went on. `at` is when the subscriber got it; all times are seconds of the stream.

    `start` is where the labelled sound began. With sliding windows, that is the newest hop of the first window, because
    the rest of that window had given no label before.
    """

    label: str
    start: float
    end: float
    at: float


@dataclass(slots=True)
class Tally:
    """Counts by label over streams.

    `false` counts labels that went on where they should not, by the recording that sounded there. `delays` are seconds.
    """

    placed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    mistaken: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Add the counts of another tally."""
        self.placed += other.placed
        self.found += other.found
        self.mistaken += other.mistaken
        self.false += other.false
        self.delays += other.delays


def matched(truth: Sequence[Placed], fired: Sequence[Fired], known: Sequence[str], *, from_end: bool) -> Tally:
    """Return the counts of one stream. Only recordings with a label in `known` count as placed.

    A recording is found if a label of its own overlaps it; a second one is false. If only another label overlaps it, it
    is mistaken. Labels besides the right one are false. The delay of a found recording is measured from its end if
    `from_end`, or else from its start.
    """
    tally = Tally()
    left = list(fired)
    for placed in truth:
        if placed.label not in known:
            continue
        near = [item for item in left if _overlap(placed, item)]
        right = next((item for item in near if item.label == placed.label), None)
        tally.placed[placed.label] += 1
        if right is not None:
            tally.found[placed.label] += 1
            tally.delays.append(right.at - (placed.end if from_end else placed.start))
            left.remove(right)
        elif near:
            tally.mistaken[placed.label] += 1
            left.remove(near[0])
    for item in left:
        tally.false[next((placed.label for placed in truth if _overlap(placed, item)), NOTHING)] += 1
    return tally


def _overlap(placed: Placed, item: Fired) -> bool:
    return item.start < placed.end + TOLERANCE and item.end > placed.start - TOLERANCE


def rate_interval(count: int, hours: float) -> tuple[float, float]:
    """Return the exact 95 % interval of a rate an hour, given `count` events of a Poisson process (Garwood 1936)."""
    low = 0.0 if count == 0 else _root(lambda mean: 1 - _at_most(count - 1, mean), 0.025, count)
    high = _root(lambda mean: 1 - _at_most(count, mean), 0.975, count)
    return low / hours, high / hours


def _at_most(count: int, mean: float) -> float:
    """Return the Poisson probability of at most `count` events."""
    return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)) if mean else 1.0


def _root(rising: Callable[[float], float], level: float, count: int) -> float:
    """Return the mean at which the rising function reaches `level`, by bisection."""
    low, high = 0.0, 10.0 + 5 * count
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < level else (low, middle)
    return high
