"""How many streams a core hears before it is late. Sound comes in real time, by a clock that the rounds move.

The CPU time of a round is the time that passes, times a factor: that of a core which is so many times as slow. So
blocks pile up as in a daemon at its limit, where a round finds all that came while the one before it was at work. The
largest factor with which blocks are heard in time says for how many times as many streams this core has room.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import Protocol

import numpy as np

IN_TIME_SECONDS = 0.1  # from the arrival of a block to the end of the round that took it
SHARE = 99  # per cent of the blocks, which must be in time
SETTLING_SECONDS = 1.0  # of sound, until as much is queued as will be
NEAR = 1.02  # a factor is known this well


class Heard(Protocol):
    """Streams that can be driven by hand."""

    def offer(self, number: int) -> None:
        """Give a stream its next block."""
        ...

    def round(self) -> float:
        """Run a round, and return its CPU seconds."""
        ...


def arrivals(count: int, block_seconds: float) -> Iterator[tuple[float, int]]:
    """Yield when a block of which stream comes, in order, for ever: each stream has a phase of its own."""
    phases = np.random.default_rng(2).uniform(0, block_seconds, count)
    order = [(float(phases[number]), int(number)) for number in np.argsort(phases)]
    for cycle in itertools.count():
        for phase, number in order:
            yield cycle * block_seconds + phase, number


def delays(streams: Heard, count: int, block_seconds: float, seconds: float, factor: float) -> list[float]:
    """Return how many seconds each block waited until it was heard, on a core that is `factor` times as slow."""
    streams.round()  # what is left from before
    waited: list[float] = []
    coming = arrivals(count, block_seconds)
    at, number = next(coming)
    now = 0.0
    while now < seconds:
        now = max(now, at)
        came = []
        while at <= now:
            streams.offer(number)
            came.append(at)
            at, number = next(coming)
        now += streams.round() * factor
        if now >= SETTLING_SECONDS:
            waited += [now - each for each in came]
    return waited


def largest(in_time: Callable[[float], bool], low: float, high: float) -> float:
    """Return the largest factor that is `in_time`, which lies between `low` and `high`, but for NEAR."""
    while high > low * NEAR:
        middle = math.sqrt(low * high)
        if in_time(middle):
            low = middle
        else:
            high = middle
    return low


def room(streams: Heard, count: int, block_seconds: float, seconds: float, guess: float) -> float:
    """Return for how many streams a core has room. `guess` is about that number."""

    def in_time(factor: float) -> bool:
        waited = delays(streams, count, block_seconds, SETTLING_SECONDS + seconds, factor)
        return float(np.percentile(waited, SHARE)) <= IN_TIME_SECONDS

    return count * largest(in_time, guess / count / 2, 2 * guess / count)
