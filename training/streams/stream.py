"""Make continuous streams with the truth about them: recordings with pauses between them, in noise and in rooms.

All chance comes from a seed. The loudness of a recording is that of its audible part, in dB below full scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from training.data.audio import RATE, Samples, active_span
from training.data.augment import Range, Room

LEVEL_DB, SPREAD_DB = -26.0, 6.0
FLOOR_DB = -72.0
FADE = RATE // 50
LEAD, TAIL = RATE, 3 * RATE
"""Samples before the first recording, for the daemon to learn the noise floor, and after the last, for its gates to
close."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A recording in a stream, with its start and end in seconds."""

    label: str
    start: float
    end: float


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    sound: Samples
    truth: tuple[Placed, ...]

    @property
    def seconds(self) -> float:
        return len(self.sound) / RATE


@dataclass(frozen=True, slots=True)
class Scene:
    """The place of a stream. Without a ratio there is only a faint hiss."""

    what: str
    snr_db: float | None = None
    room: bool = False
    noise: str = "background"


SCENES = {
    "quiet": Scene("quiet room"),
    "noise_20_db": Scene("background noise 20 dB below", 20.0),
    "noise_10_db": Scene("background noise 10 dB below", 10.0),
    "noise_5_db": Scene("background noise 5 dB below", 5.0),
    "pink_20_db": Scene("pink noise 20 dB below", 20.0, noise="pink"),
    "pink_10_db": Scene("pink noise 10 dB below", 10.0, noise="pink"),
    "rain_10_db": Scene("rain 10 dB below", 10.0, noise="rain"),
    "rooms": Scene("simulated rooms, one in three through a telephone's band", None, True),
}

Noises = Mapping[str, Sequence[Samples]]
"""The noises of each kind that scenes name."""

Item = tuple[str, Callable[[], Samples]]
"""A label, and how to get its recording."""


def dealt(items: Sequence[Item], count: int, seed: int) -> list[list[Item]]:
    """Shuffle the items and deal them out to `count` streams."""
    order = np.random.default_rng(seed).permutation(len(items))
    return [[items[k] for k in order[part::count]] for part in range(count)]


def lay(items: Sequence[Item], scene: Scene, noises: Noises, pause: Range, seed: int) -> Stream:
    """Return a stream with the items in their order, in `scene`; `pause` is the range of pauses in seconds."""
    random = np.random.default_rng(seed)
    parts, truth, at = [np.zeros(LEAD, np.float32)], list[Placed](), LEAD
    for label, get in items:
        sound = get().copy()
        begin, end = active_span(sound)
        level = LEVEL_DB + random.uniform(-SPREAD_DB, SPREAD_DB)
        sound *= np.float32(10 ** (level / 20) / (np.sqrt(np.square(sound[begin:end]).mean()) + 1e-9))
        ramp = np.linspace(0, 1, FADE, dtype=np.float32)
        sound[:FADE] *= ramp
        sound[-FADE:] *= ramp[::-1]
        truth.append(Placed(label, round((at + begin) / RATE, 3), round((at + end) / RATE, 3)))
        gap = np.zeros(round(random.uniform(*pause) * RATE), np.float32)
        parts += [sound, gap]
        at += len(sound) + len(gap)
    dry = np.concatenate([*parts, np.zeros(TAIL, np.float32)])
    return Stream(_heard(dry, scene, noises, random), tuple(truth))


def _heard(dry: Samples, scene: Scene, noises: Noises, random: np.random.Generator) -> Samples:
    sound = _in_a_room(dry, random) if scene.room else dry
    if scene.snr_db is not None:
        kind = noises[scene.noise]
        noise = kind[int(random.integers(len(kind)))]
        noise = np.resize(np.roll(noise, int(random.integers(len(noise)))), len(sound))
        level = 10 ** ((LEVEL_DB - scene.snr_db) / 20)
        sound = sound + noise * np.float32(level / (np.sqrt(np.square(noise).mean()) + 1e-9))
    hiss = random.standard_normal(len(sound), np.float32) * np.float32(10 ** (FLOOR_DB / 20))
    return np.clip(sound + hiss, -1, 1).astype(np.float32)


def _in_a_room(dry: Samples, random: np.random.Generator) -> Samples:
    """Return the stream in one room, as loud as before."""
    room = Room(1, torch.Generator().manual_seed(int(random.integers(1 << 31))))
    # The end of the response comes before the sound itself, because its filters have no phase
    before = room.length // 4
    impulse = np.roll(torch.fft.irfft(room.responses[0], room.length).numpy(), before)
    size = 1 << (len(dry) + len(impulse)).bit_length()
    wet = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(impulse, size), size)[before : before + len(dry)]
    scaled: Samples = (wet * np.sqrt(np.square(dry).mean() / (np.square(wet).mean() + 1e-12))).astype(np.float32)
    return scaled
