"""The table that all benchmarks print: a measure, its value and spread, its goal, and whether the goal is met."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from earmark.columns import padded

SURE = 1.96  # standard deviations: 95 % of a normal distribution
NARROW = 0.1  # of the median: an interval that is no wider is judged even if the goal is in it
FEWEST = 6  # rounds that have a 95 % interval


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `met` is None if there is no goal, or if the run is too noisy to judge it.

    `low` and `high` are the ends of the 95 % interval of the median, if the value is the median of enough rounds.
    """

    name: str
    value: float
    unit: str
    goal: str = ""
    met: bool | None = None
    low: float | None = None
    high: float | None = None

    @property
    def verdict(self) -> str:
        """What the last column says."""
        if self.met is None:
            return "too noisy to judge" if self.goal else ""
        return "met" if self.met else "MISSED"


@dataclass(frozen=True, slots=True)
class Goal:
    """A value is `sign` the `bound`."""

    sign: Literal["≥", "≤"]
    bound: float

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:g}"

    def is_met(self, value: float) -> bool:
        return value >= self.bound if self.sign == "≥" else value <= self.bound


def at_least(bound: float) -> Goal:
    return Goal("≥", bound)


def at_most(bound: float) -> Goal:
    return Goal("≤", bound)


def median_row(name: str, rounds: Sequence[float], unit: str, goal: Goal | None = None) -> Row:
    """Return the median of the rounds with its 95 % interval, judged by `goal`.

    It is not judged if the goal lies within the interval, and that is wider than a tenth of the median: another run
    might say the opposite.
    """
    value, (low, high) = statistics.median(rounds), interval(rounds)
    if goal is None:
        return Row(name, value, unit, low=low, high=high)
    is_noisy = low is None or high is None or (low < goal.bound < high and high - low > NARROW * abs(value))
    return Row(name, value, unit, str(goal), None if is_noisy else goal.is_met(value), low, high)


def interval(rounds: Sequence[float]) -> tuple[float | None, float | None]:
    """Return the 95 % interval of the median, by the ranks of the binomial distribution; None for too few rounds.

    W. J. Conover, "Practical Nonparametric Statistics", 3rd edition (1999), section 3.2, with its normal approximation.
    """
    count = len(rounds)
    if count < FEWEST:
        return None, None
    ordered, half = sorted(rounds), SURE * math.sqrt(count) / 2
    first = max(0, math.floor(count / 2 - half))
    return ordered[first], ordered[count - 1 - first]


def print_table(rows: Iterable[Row]) -> None:
    """Print the rows in aligned columns on standard output."""
    cells = [(row.name, f"{row.value:.4g}", _spread(row), row.unit, row.goal, row.verdict) for row in rows]
    table = [("measure", "value", "95 % of the median", "unit", "goal", ""), *cells]
    for name, value, *rest in padded(table):
        print(f"{name}  {value.strip():>{len(value)}}  {'  '.join(rest)}".rstrip())


def as_json(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the rows as objects of JSON."""
    return [
        {
            "measure": row.name,
            "value": row.value,
            "low": row.low,
            "high": row.high,
            "unit": row.unit,
            "goal": row.goal or None,
            "verdict": row.verdict or None,
        }
        for row in rows
    ]


def _spread(row: Row) -> str:
    return "" if row.low is None or row.high is None else f"{row.low:.4g} to {row.high:.4g}"
