"""Noise to train and to judge with: what a corpus of noises has, steady sounds, and noise of any colour.

Every side of the split has parts of its own: stretches of the long recordings, and folds of ESC-10.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from training.data.audio import RATE, Samples, load
from training.data.corpora import read_noises, rows
from training.data.splits import Side

PART_OF: dict[Side, tuple[float, float]] = {"train": (0.0, 0.8), "dev": (0.8, 0.9), "test": (0.9, 1.0)}
"""The part of each background noise that a side uses, from one fraction of its length to another."""
STEADY = ("rain", "sea_waves", "helicopter", "fire_crackling", "chainsaw")
"""Sounds of ESC-10 that go on for as long as a clip does, and that words are heard in."""
FOLDS_OF: dict[Side, tuple[int, ...]] = {"train": (0, 1), "dev": (2,), "test": (3,)}
SLOPES = (0.0, 0.5, 1.0, 1.5, 2.0)
"""Exponents of the frequency by which the power of coloured noise falls: 0 is white, 1 pink, 2 brown."""
COLOURED_SECONDS = 20


def parts(data: Path, side: Side) -> list[Samples]:
    """Return the side's part of every background noise."""
    first, last = PART_OF[side]
    sounds = [load(path) for path in read_noises(data)]
    return [sound[int(first * len(sound)) : int(last * len(sound))] for sound in sounds]


def steady(data: Path, side: Side) -> Iterator[tuple[str, Samples]]:
    """Yield the steady sounds of the side's folds with their labels. A corpus that is missing has none."""
    folder = data / "esc10"
    if (folder / "index.csv").exists():
        found = list(rows(folder))
        names = sorted({row["speaker"] for row in found})
        mine = {names[number] for number in FOLDS_OF[side] if number < len(names)}
        for row in found:
            if row["label"] in STEADY and row["speaker"] in mine:
                yield row["label"], load(folder / row["file"])


def coloured(slope: float, count: int, random: np.random.Generator) -> Samples:
    """Return noise whose power falls with the frequency to the power of `slope`."""
    spectrum = np.fft.rfft(random.standard_normal(count))
    spectrum /= np.maximum(np.arange(len(spectrum)), RATE // 400) ** (slope / 2)
    made: Samples = np.fft.irfft(spectrum, count).astype(np.float32)
    return made


def noise_bank(data: Path, side: Side) -> Tensor:
    """Return all noise of a side end to end, each recording at the same power."""
    random = np.random.default_rng(len(side))
    made = [coloured(slope, COLOURED_SECONDS * RATE, random) for slope in SLOPES]
    sounds = [*parts(data, side), *(sound for _, sound in steady(data, side)), *made]
    return torch.from_numpy(np.concatenate([sound / (np.sqrt(np.square(sound).mean()) + 1e-9) for sound in sounds]))
