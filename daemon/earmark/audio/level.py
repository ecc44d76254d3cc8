"""The level of a stream in dB, and an estimate of its noise floor."""

from __future__ import annotations

import math

from earmark.audio.types import Samples

SILENCE_DB = -120.0


def decibels(samples: Samples) -> float:
    """Return the RMS level in dB relative to full scale, at least SILENCE_DB."""
    if not len(samples):
        return SILENCE_DB
    power = float(samples.dot(samples)) / len(samples)
    return 10.0 * math.log10(power) if power > 1e-12 else SILENCE_DB


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
        if math.isnan(floor):  # the first step
            floor = level
        elif level < floor:
            floor += 0.3 * (level - floor)
        else:
            floor += min(self._rise, level - floor)
        self.level = floor
        return level - floor
