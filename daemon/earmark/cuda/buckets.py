"""Which sizes of batches get a CUDA graph, and which batches are run by one."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import NamedTuple

SIZES = 1, 2, 4, 8, 16, 32  # windows; of larger batches the kernels take longer than their launches
GAIN = 1.05  # by which a graph must beat the network without one
SHARE = 0.25  # of the memory of the GPU that is free beforehand, that the graphs of one model may keep


class Cost(NamedTuple):
    """The seconds that a batch takes without a graph, and with one."""

    eager: float
    replay: float


def sizes(max_batch: int) -> tuple[int, ...]:
    """Return the sizes for batches of up to `max_batch` windows, the largest first: the others reuse its memory.

    The largest batch itself is one of them, because it is the most frequent one where there is much to do.
    """
    most = min(max_batch, SIZES[-1])
    return tuple(sorted({size for size in SIZES if size <= most} | {most}, reverse=True))


def fits(needed: int, kept: int, free: int) -> bool:
    """Return whether the graph of a batch may be captured, in bytes of the GPU's memory.

    `needed` is what the batch takes without one, `kept` what smaller or larger graphs have taken, whose memory it
    shares, and `free` what was free before the first one.
    """
    return max(needed, kept) <= SHARE * free


def routes(costs: Mapping[int, Cost]) -> tuple[int, ...]:
    """Return the size of the graph for each number of windows, from 0 on; 0 where the network is run without one.

    `costs` has what each size was measured to take. A batch that is smaller than its graph is padded, which is
    worthwhile as long as the launches take longer than the kernels. What it takes without a graph is assumed to lie on
    a line between the sizes around it.
    """
    known = sorted(costs)
    return (0, *(_route(count, known, costs) for count in range(1, known[-1] + 1))) if known else (0,)


def _route(count: int, known: list[int], costs: Mapping[int, Cost]) -> int:
    size = next(each for each in known if each >= count)
    below = max((each for each in known if each < count), default=0)
    low, high = costs[below].eager if below else costs[size].eager, costs[size].eager
    eager = low + (high - low) * (count - below) / (size - below)
    return size if costs[size].replay * GAIN <= eager else 0


def told(chosen: Set[int], kept: int) -> str:
    """Return the rest of a sentence about the sizes that are in use, and the bytes that their graphs keep."""
    *first, last = (str(size) for size in sorted(chosen))
    listed = f"{', '.join(first)} and {last}" if first else last
    return f"CUDA graphs run batches of {listed} ({kept / 1e6:.0f} MB)"
