"""Read clips, and find the audible part of each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

RATE = 16_000

Samples = NDArray[np.float32]


def load(path: Path) -> Samples:
    """Return a whole file as mono float32 at RATE; channels are averaged."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = samples.mean(axis=1)
    if rate != RATE:
        mono = soxr.resample(mono, rate, RATE)
    return np.ascontiguousarray(mono, dtype=np.float32)


def levels(samples: Samples, frame: int) -> Samples:
    """Return the level of each whole frame in dB relative to full scale; silence is -120."""
    count = len(samples) // frame
    power = np.square(samples[: count * frame].reshape(count, frame)).mean(axis=1)
    decibels: Samples = (10 * np.log10(power + 1e-12)).astype(np.float32)
    return decibels


def active_span(samples: Samples, frame: int = 320) -> tuple[int, int]:
    """Return where the sound that stands out of the clip's own background begins and ends, in samples.

    A frame stands out if it is within 30 dB of the loudest and 8 dB above the quietest tenth. If none does, as in
    steady noise, the span is the whole clip.
    """
    level = levels(samples, frame)
    if len(level) == 0:
        return 0, len(samples)
    peak, floor = float(level.max()), float(np.percentile(level, 10))
    if peak - floor < 8:
        return 0, len(samples)
    loud = np.flatnonzero(level >= max(peak - 30, floor + 8))
    return int(loud[0]) * frame, int(loud[-1] + 1) * frame
