"""The level of a stream in dB, and an estimate of its noise floor."""

from __future__ import annotations

import math
from collections import deque
from functools import lru_cache

import numpy as np

from earmark.audio.types import Floats, Samples

SILENCE_DB = -120.0
MAX_OFFSET_SHARE = 0.999  # of the power; if more of it is offset, rounding would hide the sound
FEW = 4  # rows, for which decibels_by_row() is no faster than decibels() of each

FIRST_DB = -65.0  # of a PatientFloor at the first step; the background of a quiet room with a cheap microphone
LEARNING_SECONDS = 300  # of a PatientFloor
RECENT_SECONDS = 4
SMOOTHING_SECONDS = 0.2


def decibels(samples: Samples) -> float:
    """Return the RMS level around the mean, in dB relative to full scale, at least SILENCE_DB.

    The mean is no sound: cheap microphones have an offset of 0.01, which would count as -40 dB. To remove it from each
    stretch is a high-pass filter without a state, so it neither rings nor remembers anything across gaps. In a step of
    32 ms it takes away what is below about 20 Hz.
    """
    count = len(samples)
    if not count:
        return SILENCE_DB
    power = float(samples.dot(samples)) / count
    mean = float(samples.dot(_ones(count))) / count  # half as dear as a sum, in the step that each stream takes
    if mean * mean > MAX_OFFSET_SHARE * power:
        centred = samples - np.float32(mean)
        power, mean = float(centred.dot(centred)) / count, 0.0
    power -= mean * mean
    return 10.0 * math.log10(power) if power > 1e-12 else SILENCE_DB


def decibels_by_row(steps: Floats) -> list[float]:
    """Return what decibels() says of each row, to the last bit: for many rows at a third of the cost."""
    rows, count = steps.shape
    if rows < FEW:
        return [decibels(step) for step in steps]
    powers = np.vecdot(steps, steps).astype(np.float64) / count
    means = np.vecdot(steps, _ones(count)).astype(np.float64) / count
    squares = means * means
    offset = squares > MAX_OFFSET_SHARE * powers
    found = [10.0 * math.log10(power) if power > 1e-12 else SILENCE_DB for power in (powers - squares).tolist()]
    for row in np.flatnonzero(offset):
        found[row] = decibels(steps[row])
    return found


@lru_cache(maxsize=16)  # steps have one length; the periods that are judged for a source's state may have some more
def _ones(count: int) -> Samples:
    return np.ones(count, np.float32)


class NoiseFloor:
    """An estimate of the background's level that falls fast and rises slowly.

    Minimum following after R. Martin, "Noise power spectral density estimation based on optimal smoothing and
    minimum statistics" (2001), reduced to one band. The floor falls to a lower level within a few steps and rises
    `rise` dB per second towards a higher one. So speech hardly raises it, and the hum of a fan becomes part of it.
    """

    def __init__(self, step_seconds: float, rise: float = 3.0) -> None:
        self._rise = rise * step_seconds
        self.level = math.nan  # dB; not a number before the first step

    def feed(self, level: float) -> float:
        """Take the level of one step in dB and return how many dB it lies above the floor."""
        floor = self.level
        if level < floor:
            floor += 0.3 * (level - floor)
        elif level - floor > self._rise:
            floor += self._rise
        else:  # also at the first step
            floor = level
        self.level = floor
        return level - floor


class PatientFloor:
    """An estimate of the background's level for a gate that any sound opens, and that stays open while sound goes on.

    While the gate is closed, the floor falls fast and rises slowly, as a NoiseFloor does. While it is open, the floor
    does not rise: steady rain must not become background while its label is on. A louder background, such as a fan that
    was turned on, is learnt after LEARNING_SECONDS in which the gate never closed, from the lowest level in them.

    What the first step holds may be background or a sound that was there before. The floor begins no higher than
    FIRST_DB, so that such a sound is heard. If it was the background of a noisy room, the first sound that stands out
    shows that: in the pause after it, the lowest level of the last seconds is `margin` below their highest. The floor
    rises to it then, until the gate has been closed for a second. Levels are smoothed for this, because
    single steps of rain differ by as much.
    """

    def __init__(self, step_seconds: float, margin: float, rise: float, first: float | None = None) -> None:
        """`first` is the level of the background if it is known, in dB; `rise` is in dB per second."""
        self.level = math.nan if first is None else first  # dB; not a number before the first step
        self._rise = rise * step_seconds
        self.margin = margin  # may be changed at any time
        self._steps_per_second = round(1 / step_seconds)
        self._smoothing = min(1.0, step_seconds / SMOOTHING_SECONDS)
        self._is_sure = False
        self._closed_steps = 0  # in a row, before the floor is sure
        self._smoothed = math.nan
        self._extremes: deque[tuple[float, float]] = deque(maxlen=RECENT_SECONDS)  # of each second, before it is sure
        self._second: list[float] = []
        self._open_steps = 0  # in a row
        self._lowest = math.inf  # in these

    def feed(self, level: float, is_open: bool) -> float:
        """Take the level of one step in dB and whether the gate is open. Returns the dB above the floor."""
        if math.isnan(self.level):
            self.level = min(level, FIRST_DB)
        if level < self.level:
            self.level += 0.3 * (level - self.level)
        elif not is_open:
            self.level += min(self._rise, level - self.level)
        self._learn(level, is_open)
        if not self._is_sure:
            self._make_sure(level, is_open)
        return level - self.level

    def _learn(self, level: float, is_open: bool) -> None:
        """Raise the floor to the lowest level of a long time in which the gate was open."""
        if not is_open:
            self._open_steps, self._lowest = 0, math.inf
            return
        self._open_steps += 1
        self._lowest = min(self._lowest, level)
        if self._open_steps >= LEARNING_SECONDS * self._steps_per_second:
            self.level = max(self.level, self._lowest)
            self._open_steps, self._lowest = 0, math.inf

    def _make_sure(self, level: float, is_open: bool) -> None:
        """Find out whether the sound since the first step is the background."""
        self._closed_steps = 0 if is_open else self._closed_steps + 1
        self._is_sure = self._closed_steps >= self._steps_per_second
        before = level if math.isnan(self._smoothed) else self._smoothed
        self._smoothed = before + self._smoothing * (level - before)
        self._second.append(self._smoothed)
        if len(self._second) < self._steps_per_second:
            return
        self._extremes.append((min(self._second), max(self._second)))
        self._second = []
        lowest, highest = min(low for low, _ in self._extremes), max(high for _, high in self._extremes)
        if highest - lowest >= self.margin:
            self.level = max(self.level, lowest)
