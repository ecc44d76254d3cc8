"""The types that pass from stage to stage. Every time in them is an integer sample position.

A position counts the samples of one source's stream from its first sample, at the rate of the object that carries it.
Where sound was lost, positions jump. Seconds are computed only for people to read.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Mono samples, float32, nominally within [-1, 1], shape (n,)."""

Floats = npt.NDArray[np.float32]
"""Numbers of a model, such as logits or probabilities, in an array of any shape."""

Nanoseconds = int
"""A reading of the monotonic clock, or a time between two."""

SECOND: Nanoseconds = 1_000_000_000

Milliseconds = int
"""A time in a source's stream, or a time between two."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The samples of one delivery of a source: any length, without a gap inside.

    `rate` is the source's own rate in Hz and `position` counts at it; `captured` is the monotonic time at which
    the last sample was handed over.
    """

    position: int
    samples: Samples
    rate: int
    captured: Nanoseconds


@dataclass(frozen=True, slots=True)
class Opened:
    """The gate opened: sound of interest began at `position`."""

    position: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The gate closed: sound of interest ended at `position`.

    `split`: the sound goes on but has reached the maximum length. An Opened at the same position follows.
    """

    position: int
    split: bool = False


GateEvent = Opened | Closed


@dataclass(frozen=True, slots=True)
class Span:
    """A window as positions: samples [start, end) of the ring, for the sound at [speech_start, speech_end).

    `final`: the last window of its sound. `continued`: this sound continues one that was split at the maximum length.
    """

    start: int
    end: int
    speech_start: int
    speech_end: int
    final: bool
    continued: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """One stretch of sound on its way to the model.

    `span` is in samples at `rate`; `samples` are exactly `span.end - span.start` of them, read-only.
    `captured` is the monotonic time of the last sample, or of the end of an utterance that lasted longer. `live`
    windows go first and are dropped when they become too old. The others come from files that are read as fast as
    possible; they wait for ever and are never dropped.
    """

    source: str
    classifier: str
    model: str
    span: Span
    samples: Samples
    rate: int
    captured: Nanoseconds
    live: bool = True


def seconds(position: int, rate: int) -> float:
    """Convert a position to seconds for people, rounded to the millisecond."""
    return round(position / rate, 3)


def milliseconds(position: int, rate: int) -> Milliseconds:
    """Convert a position to whole milliseconds, in which decisions count: 1000 times seconds()."""
    return round(seconds(position, rate) * 1000)
