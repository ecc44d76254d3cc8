"""Sound for tests, made here: every one the same each time."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from earmark.core.audio import Samples

DEMO = Path(__file__).parent.parent / "daemon" / "earmark" / "demo"


def ramp(start: int, end: int) -> Samples:
    """Samples whose values are their positions: every mix-up shows."""
    return np.arange(start, end, dtype=np.float32)


def noise(length: int, level_db: float, seed: int = 0) -> Samples:
    """White noise at `level_db` dB (RMS) below full scale."""
    generator = np.random.default_rng(seed)
    samples: Samples = (generator.standard_normal(length) * 10 ** (level_db / 20)).astype(np.float32)
    return samples


def tone(length: int, frequency: float, rate: int = 16000, peak: float = 0.5) -> Samples:
    samples: Samples = (peak * np.sin(2 * np.pi * frequency * np.arange(length) / rate)).astype(np.float32)
    return samples


@dataclass(frozen=True)
class Word:
    """A word in the demo recording; times in seconds."""

    label: str
    start: float
    end: float


def demo() -> tuple[Samples, int, list[Word]]:
    """The bundled recording, its rate in Hz, and what is said in it."""
    samples, rate = soundfile.read(DEMO / "commands.flac", dtype="float32")
    words = [Word(**word) for word in json.loads((DEMO / "commands.json").read_text())]
    return samples, rate, words
