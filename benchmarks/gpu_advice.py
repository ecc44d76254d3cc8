"""What to set in [worker.cuda], by what a GPU was measured to give. Pure."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from benchmarks.table import interval
from earmark.placement.choice import Transfers

GAIN, LOSS = 1.03, 0.97  # times the speed without: what counts as faster, and as slower
NARROW = 0.2  # of the median: a wider interval says nothing, because of a dozen of them one may lie anywhere by chance


@dataclass(frozen=True, slots=True)
class Way:
    """A value of each setting of [worker.cuda]."""

    graphs: Literal["off", "auto"] = "off"
    transfers: Transfers = "plain"

    def __str__(self) -> str:
        return f'graphs = "{self.graphs}", transfers = "{self.transfers}"'


WAYS = (
    Way("auto", "plain"),
    Way("off", "pinned"),
    Way("off", "overlapped"),
    Way("auto", "overlapped"),
)
"""What is compared with Way(), the least daring first."""


def advice(found: Mapping[Way, Mapping[str, Sequence[float]]]) -> str:
    """Return a sentence about what to set.

    `found` has for each way and measure how many times as fast it was in each round. A way is good if one measure is
    surely faster with it, and none surely slower.
    """
    good = {way: measures for way, measures in found.items() if _is_good(measures)}
    if not good:
        return "Set nothing in [worker.cuda]: nothing was surely faster, or it was slower elsewhere."
    best = max(good, key=lambda way: _gain(good[way]))
    told = ", ".join(f"{name} × {statistics.median(ratios):.2f}" for name, ratios in good[best].items())
    return f"Set in [worker.cuda]: {best} ({told})."


def _is_good(measures: Mapping[str, Sequence[float]]) -> bool:
    return any(map(_is_faster, measures.values())) and not any(map(_is_slower, measures.values()))


def _is_faster(ratios: Sequence[float]) -> bool:
    low, high = interval(ratios)
    return low is not None and high is not None and low > GAIN and high - low <= NARROW * statistics.median(ratios)


def _is_slower(ratios: Sequence[float]) -> bool:
    _, high = interval(ratios)
    return high is not None and high < LOSS


def _gain(measures: Mapping[str, Sequence[float]]) -> float:
    """Return the geometric mean over the measures."""
    return math.exp(statistics.mean(math.log(statistics.median(ratios)) for ratios in measures.values()))
