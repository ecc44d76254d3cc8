"""Sound for tests, made here: every one the same each time."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from earmark.audio.types import Samples

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
class Part:
    """What is to be heard somewhere in the demo recording; times in seconds."""

    classifier: str
    label: str
    start: float
    end: float


@dataclass(frozen=True)
class Word:
    """A word in the demo recording; times in seconds."""

    label: str
    start: float
    end: float


def demo_parts() -> list[Part]:
    """All that is to be heard in the bundled recording, in order: words, then emotional sentences, then sounds."""
    return [Part(**part) for part in json.loads((DEMO / "demo.json").read_text())]


def demo(longest: float = math.inf) -> tuple[Samples, int, list[Word]]:
    """The words of the bundled recording, its rate in Hz, and where they are.

    It ends in the middle of the pause after the last word, or the last one that is over before `longest` seconds.
    """
    parts = demo_parts()
    words = [part for part in parts if part.classifier == "commands" and part.end < longest]
    end = (words[-1].end + parts[len(words)].start) / 2
    samples, rate = soundfile.read(DEMO / "demo.flac", dtype="float32")
    return samples[: round(end * rate)], rate, [Word(word.label, word.start, word.end) for word in words]


def demo_file(folder: Path) -> Path:
    """The words of the bundled recording as a file of their own, commands.flac in `folder`."""
    samples, rate, _ = demo()
    path = folder / "commands.flac"
    soundfile.write(path, samples, rate, subtype="PCM_16")
    return path
