"""The level of one source, ten times a second: what a meter on a screen shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from earmark.audio.level import SILENCE_DB, NoiseFloor, decibels
from earmark.audio.types import SECOND, Nanoseconds, Samples

HUSH_DB = -65.0  # at or below it, nothing moves on a meter
TENTHS = 10  # of a second: over one of them a level is taken, and so many are told in a second at most


@dataclass(frozen=True, slots=True)
class Loudness:
    """The last tenth of a second of a source, in dB relative to full scale: its RMS around the mean, and its peak.

    `floor` is a NoiseFloor over these levels, for sources whose gates have none.
    """

    db: float
    peak_db: float
    floor: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A gate at one moment: the score of its newest step beside the one at which it opens, in a unit of its own.

    That is the probability of speech, or dB above the noise floor; an `open` gate has neither. `floor` is the noise
    floor that the gate goes by, in dB.
    """

    open: bool
    value: float | None = None
    threshold: float | None = None
    floor: float | None = None


class Meter:
    """Take the sound of one source, and give its newest level at most ten times a second of the caller's clock.

    A level is ready whenever another tenth of a second of sound has come, so a microphone gets all ten, and a recording
    that is read faster than it sounds, or a burst of a network's sound, no more than that.
    A level of `hush` dB or less is given once a second at most.
    """

    def __init__(self, hush: float = HUSH_DB) -> None:
        self._hush = hush
        self._floor = NoiseFloor(1 / TENTHS)
        self._rate = 0
        self._chunks: list[Samples] = []  # the newest, of at least a tenth of a second if there were as many
        self._length = 0  # samples in them
        self._new = 0  # samples since the last tenth was complete
        self._ready = False
        self._due: Nanoseconds = 0  # when the next level may be given
        self._hush_due: Nanoseconds = 0  # and when one of at most `hush`

    def feed(self, samples: Samples, rate: int) -> None:
        """Take the next samples, which must not change any more."""
        if rate != self._rate:
            self.forget()
            self._rate = rate
        self._chunks.append(samples)
        self._length += len(samples)
        while self._length - len(self._chunks[0]) >= self._tenth:
            self._length -= len(self._chunks.pop(0))
        self._new += len(samples)
        if self._new >= self._tenth:
            self._new %= self._tenth
            self._ready = True

    def forget(self) -> None:
        """Forget the sound so far, because there is a gap after it."""
        self._chunks, self._length, self._new, self._ready = [], 0, 0, False

    def take(self, now: Nanoseconds) -> Loudness | None:
        """Return the level of the newest tenth of a second, or None if none is ready or it is too early for one."""
        if not self._ready or now < self._due:
            return None
        self._ready = False
        newest = np.concatenate(self._chunks)[-self._tenth :]
        level = decibels(newest)
        if level <= self._hush:
            if now < self._hush_due:
                return None
            self._hush_due = now + SECOND
        # from the time at which it was due, as long as that is not long ago: delays of single rounds do not add up
        tenth = SECOND // TENTHS
        self._due = max(self._due, now - tenth) + tenth
        peak = float(np.abs(newest).max())
        self._floor.feed(level)
        return Loudness(level, max(SILENCE_DB, 20 * math.log10(peak)) if peak else SILENCE_DB, self._floor.level)

    @property
    def _tenth(self) -> int:
        return max(1, self._rate // TENTHS)
