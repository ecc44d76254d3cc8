"""Sounds to compare two engines with: made here, the same each time, or cut from recordings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Floats, Samples
from earmark.errors import SourceError
from earmark.learning.find import read_recording, recording_files

Doubles = npt.NDArray[np.float64]

LEVELS_DB = (0, -20, -40, -60)
MOST_CLIPS = 400


def synthetic(rate: int, length: int) -> Floats:
    """Return sounds of many kinds at several levels, shape (sounds, length)."""
    random = np.random.default_rng(0)
    time = np.arange(length) / rate
    hiss = random.standard_normal(length)
    kinds = [
        0.3 * hiss,
        np.cumsum(hiss) / np.abs(np.cumsum(hiss)).max(),  # a rumble
        *(0.8 * np.sin(2 * np.pi * pitch * time) for pitch in (110, 440, 3000)),
        0.8 * np.sin(2 * np.pi * (100 + 1500 * time / time[-1]) * time),  # a chirp
        np.where(np.arange(length) % (rate // 5) < 40, hiss, 0),  # clicks
        *(_voice(time, pitch, random) for pitch in (95, 130, 210, 280)),
    ]
    made = [kind * 10 ** (level / 20) + 1e-4 * hiss for kind in kinds for level in LEVELS_DB]
    found: Floats = np.clip(np.stack([np.zeros(length), *made]), -1, 1).astype(np.float32)
    return found


def _voice(time: Doubles, pitch: float, random: np.random.Generator) -> Doubles:
    """Return something like syllables: harmonics of a pitch that wanders, through formants that change."""
    rate = 1 / (time[1] - time[0])
    phase = 2 * np.pi * np.cumsum(pitch * (1 + 0.1 * np.sin(2 * np.pi * 1.7 * time))) / rate
    total = np.zeros(len(time))
    formants = [(random.uniform(300, 800), random.uniform(900, 2400)) for _ in range(8)]
    chosen = np.minimum((time * 4).astype(int) % 8, 7)
    for harmonic in range(1, int(3500 // pitch)):
        gain = np.array([sum(np.exp(-(((harmonic * pitch - f) / 150) ** 2)) for f in pair) for pair in formants])
        total += gain[chosen] * np.sin(harmonic * phase)
    envelope = np.clip(np.sin(2 * np.pi * 4 * time), 0, None)
    voice: Doubles = 0.5 * total / np.abs(total).max() * envelope
    return voice


def clips(folder: Path, rate: int, length: int) -> Floats:
    """Return windows of `length` samples at `rate` Hz from the recordings in a folder and those below it.

    The shape is (windows, length), and they are spread over the files. What is shorter is padded with zeros. Raises
    SourceError if there is no recording, or if one cannot be read.
    """
    files = recording_files([folder, *sorted(below for below in folder.rglob("*") if below.is_dir())])
    if not files:
        raise SourceError(f"{folder}: holds no recordings")
    files = files[:: -(-len(files) // MOST_CLIPS)]
    each = MOST_CLIPS // len(files)
    return np.concatenate([_windows(read_recording(file, rate), length)[:each] for file in files])


def _windows(samples: Samples, length: int) -> Floats:
    """Return the windows that the samples fill, or a single one that they do not."""
    count = max(1, len(samples) // length)
    filled = np.zeros((count, length), np.float32)
    filled.reshape(-1)[: len(samples)] = samples[: count * length]
    return filled
