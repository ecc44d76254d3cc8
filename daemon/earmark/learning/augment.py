"""How a take may sound another time: elsewhere in the window, faster, in another room, over noise, nearer or farther.

The recipe is that of `training/augment.py`, without torch. All chance comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples
from earmark.learning.examples import Example

Windows = npt.NDArray[np.float32]
"""Shape (windows, length)."""

SHIFT = 0.25  # of a window, to either side of where the daemon would cut
SLACK = 0.05  # of a window: so much more of the take may be cut off
SPEED = (0.9, 1.1)
ALONE, ROOM, NOISE, HISS = 0.25, 0.35, 0.6, 0.6  # how often
AWAY_DB = (10.0, 60.0)
MARGIN = 0.05  # of a window: so much before and after a take belongs to it
SNR_DB = (3.0, 30.0)
GAIN_DB = (-20.0, 3.0)
HISS_DB = (-90.0, -55.0)
COLOURS = (0.0, 1.0, 2.0)  # white, pink, brown: power falls with this power of the frequency


def plain(take: Example, window: int, pre_roll: int) -> Samples:
    """The window that the daemon cuts for an utterance: see Utterances in windowing/windows.py."""
    return _cut(take.samples, _start(take.begin, take.end, window, pre_roll), window)


def varied(
    take: Example, count: int, window: int, pre_roll: int, noises: Sequence[Samples], random: np.random.Generator
) -> Windows:
    """`count` windows of the take; `noises` are further backgrounds, each at least a window long."""
    return np.stack([_varied(take, window, pre_roll, noises, random) for _ in range(count)])


def backgrounds(count: int, window: int, noises: Sequence[Samples], random: np.random.Generator) -> Windows:
    """Windows in which nobody says anything: noise of three colours at all levels, silence, and pieces of `noises`."""
    made = [np.zeros(window, np.float32)]
    while len(made) < count:
        level = 10 ** (random.uniform(-85, -20) / 20)
        if noises and random.random() < 0.5:
            made.append((_piece(noises, window, random) * 10 ** (random.uniform(-10, 10) / 20)).astype(np.float32))
        else:
            made.append((coloured(window, random) * level).astype(np.float32))
    return np.clip(np.stack(made), -1, 1)


def coloured(length: int, random: np.random.Generator) -> Samples:
    """Noise of one of COLOURS, RMS 1."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** (random.choice(COLOURS) / 2)
    noise = np.fft.irfft(spectrum, length)
    made: Samples = (noise / noise.std()).astype(np.float32)
    return made


def _varied(
    take: Example, window: int, pre_roll: int, noises: Sequence[Samples], random: np.random.Generator
) -> Samples:
    speed = random.uniform(*SPEED)
    at = np.arange(int(len(take.samples) / speed)) * speed
    samples = np.interp(at, np.arange(len(take.samples)), take.samples).astype(np.float32)
    begin, end = int(take.begin / speed), int(take.end / speed)
    if random.random() < ALONE:
        samples = _alone(samples, begin, end, window, random)
    sound = _cut(samples, _shifted(begin, end, window, pre_roll, random), window)
    if random.random() < ROOM:
        sound = _in_a_room(sound, random)
    if random.random() < NOISE:
        sound = sound + _noise(sound, noises, random)
    gain, hiss = 10 ** (random.uniform(*GAIN_DB) / 20), 10 ** (random.uniform(*HISS_DB) / 20)
    hiss *= random.random() < HISS
    heard: Samples = np.clip(sound * gain + random.standard_normal(window) * hiss, -1, 1).astype(np.float32)
    return heard


def _start(begin: int, end: int, window: int, pre_roll: int) -> int:
    return begin - max(pre_roll, (window - (end - begin)) // 2)


def _shifted(begin: int, end: int, window: int, pre_roll: int, random: np.random.Generator) -> int:
    """Where the gate might have opened: sooner or later, but with no more than SLACK of the take lost."""
    usual, slack = _start(begin, end, window, pre_roll), int(SLACK * window)
    shift = int(SHIFT * window)
    earliest = max(usual - shift, min(end, usual + window) - slack - window)
    latest = min(usual + shift, begin + slack)
    return int(random.integers(earliest, max(earliest, latest) + 1))


def _cut(samples: Samples, start: int, window: int) -> Samples:
    """Samples from `start` on, zeros where there are none."""
    cut = np.zeros(window, np.float32)
    first, last = max(0, start), min(len(samples), start + window)
    if first < last:
        cut[first - start : last - start] = samples[first:last]
    return cut


def _alone(samples: Samples, begin: int, end: int, window: int, random: np.random.Generator) -> Samples:
    """In a quieter place: what is before and after the take is softer than it was where that was recorded."""
    margin = int(MARGIN * window)
    softer = samples * np.float32(10 ** (-random.uniform(*AWAY_DB) / 20))
    softer[max(0, begin - margin) : end + margin] = samples[max(0, begin - margin) : end + margin]
    return softer


def _in_a_room(sound: Samples, random: np.random.Generator) -> Samples:
    """An echo that dies away in 0.1 to 0.6 of a window, 0 to 20 dB below, and one time in three a narrow band."""
    length = len(sound)
    echo = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / (length * random.uniform(0.1, 0.6)))
    echo[: length // 500] = 0
    echo *= 10 ** (-random.uniform(0, 20) / 20) / np.sqrt(np.square(echo).sum())
    echo[0] = 1
    size = 2 * length
    response = np.fft.rfft(echo, size)
    if random.random() < 1 / 3:
        share = np.linspace(0, 1, len(response))  # of half the rate; a telephone's band ends at 0.45 of 8 kHz
        response /= 1 + (share / random.uniform(0.42, 0.5)) ** 24
    heard: Samples = np.fft.irfft(np.fft.rfft(sound, size) * response, size)[:length].astype(np.float32)
    return heard


def _noise(sound: Samples, noises: Sequence[Samples], random: np.random.Generator) -> Samples:
    """As long as the sound, at a ratio to it."""
    length = len(sound)
    noise = _piece(noises, length, random) if noises and random.random() < 0.5 else coloured(length, random)
    level = np.sqrt(np.square(sound).mean() / (np.square(noise).mean() + 1e-12))
    scaled: Samples = (noise * level * 10 ** (-random.uniform(*SNR_DB) / 20)).astype(np.float32)
    return scaled


def _piece(noises: Sequence[Samples], length: int, random: np.random.Generator) -> Samples:
    noise = noises[int(random.integers(len(noises)))]
    start = int(random.integers(len(noise) - length + 1))
    piece: Samples = noise[start : start + length]
    return piece
