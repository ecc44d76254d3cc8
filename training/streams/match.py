"""What a daemon told of a stream beside the truth: found, taken for another, missed, false alarms, delays."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from training.streams.stream import Placed

TOLERANCE = 0.3
"""Seconds by which a label's stretch may lie beside what it is a label of."""


NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Fired:
    """A label that went on. `at` is when the subscriber had it, all in seconds of the stream.

    `start` is where what it is a label of began: of sliding windows the newest hop of the first one, for the rest of
    that window was heard before and gave no label.
    """

    label: str
    start: float
    end: float
    at: float


@dataclass(slots=True)
class Tally:
    """Counts by label over streams. `false` are labels where none of theirs was, by what sounded there; `delays` are
    seconds."""

    placed: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    mistaken: Counter[str] = field(default_factory=Counter)
    false: Counter[str] = field(default_factory=Counter)
    delays: list[float] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        self.placed += other.placed
        self.found += other.found
        self.mistaken += other.mistaken
        self.false += other.false
        self.delays += other.delays


def matched(truth: Sequence[Placed], fired: Sequence[Fired], known: Sequence[str], *, from_end: bool) -> Tally:
    """One stream. Only labels in `known` count as placed; the rest of the truth is there to be told apart from it.

    A placed label is found where the right label overlaps it, once; any other label that overlaps it makes it mistaken
    unless it is found as well: then whatever else went on over it is false. The delay of a found one is from its end,
    or else from its start.
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
    """95 % interval of a rate an hour of which `count` were seen in so many hours: exact, Poisson (Garwood 1936)."""
    low = 0.0 if count == 0 else _root(lambda mean: 1 - _at_most(count - 1, mean), 0.025, count)
    high = _root(lambda mean: 1 - _at_most(count, mean), 0.975, count)
    return low / hours, high / hours


def _at_most(count: int, mean: float) -> float:
    return sum(math.exp(k * math.log(mean) - mean - math.lgamma(k + 1)) for k in range(count + 1)) if mean else 1.0


def _root(rising: Callable[[float], float], level: float, count: int) -> float:
    """The mean at which the rising function reaches `level`, by halving."""
    low, high = 0.0, 10.0 + 5 * count
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < level else (low, middle)
    return high
