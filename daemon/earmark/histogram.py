"""How values are distributed: counts in buckets with fixed bounds."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec


class HistogramCounts(msgspec.Struct, frozen=True):
    """What a histogram has counted.

    `counts` has a number for each of the `bounds`: of the values that are at most that bound, and more than the one
    before. The last number is of those above all bounds. `sum` is of the values themselves.
    """

    bounds: tuple[float, ...]
    counts: tuple[int, ...]
    sum: float


class Histogram:
    """Counts values. observe() costs the same however many there were. `bounds` rise."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = tuple(bounds)
        self._counts = [0] * (len(self._bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def counts(self) -> HistogramCounts:
        """Return the counts so far."""
        return HistogramCounts(self._bounds, tuple(self._counts), round(self._sum, 6))
