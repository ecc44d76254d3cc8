"""Variants of an example: elsewhere in the window, faster, in another room, over noise, nearer or farther.

The recipe is that of `training/data/augment.py`, without torch. All chance comes from the generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from earmark.audio.types import Samples
from earmark.learning.examples import Example

Windows = npt.NDArray[np.float32]
"""Shape (windows, length)."""

MAX_SHIFT = 0.25  # of a window, to either side of where the daemon would cut
MAX_LOSS = 0.05  # of a window: how much more of the example a shift may cut off
SPEED = (0.9, 1.1)
P_ISOLATED, P_ROOM, P_NOISE, P_HISS = 0.25, 0.35, 0.6, 0.6  # probabilities
ISOLATION_DB = (10.0, 60.0)  # how much softer the surroundings of an isolated example become
MARGIN = 0.05  # of a window: this much before and after an example belongs to it
SNR_DB = (3.0, 30.0)
GAIN_DB = (-20.0, 3.0)
HISS_DB = (-90.0, -55.0)
COLOURS = (0.0, 1.0, 2.0)  # white, pink, brown: power falls with this power of the frequency


def natural(example: Example, window: int, pre_roll: int) -> Samples:
    """Return the window that the daemon cuts for an utterance: see UtteranceWindows in windowing/windows.py."""
    return _cut(example.samples, _natural_start(example.begin, example.end, window, pre_roll), window)


def variants(
    example: Example,
    count: int,
    window: int,
    pre_roll: int,
    backgrounds: Sequence[Samples],
    random: np.random.Generator,
) -> Windows:
    """Return `count` windows of the example. `backgrounds` are recordings to mix in, each at least a window long."""
    return np.stack([_variant(example, window, pre_roll, backgrounds, random) for _ in range(count)])


def background_windows(count: int, window: int, backgrounds: Sequence[Samples], random: np.random.Generator) -> Windows:
    """Return windows without speech: silence, noise of three colours at all levels, and pieces of `backgrounds`."""
    made = [np.zeros(window, np.float32)]
    while len(made) < count:
        level = 10 ** (random.uniform(-85, -20) / 20)
        if backgrounds and random.random() < 0.5:
            gain = 10 ** (random.uniform(-10, 10) / 20)
            made.append((_piece(backgrounds, window, random) * gain).astype(np.float32))
        else:
            made.append((coloured_noise(window, random) * level).astype(np.float32))
    return np.clip(np.stack(made), -1, 1)


def coloured_noise(length: int, random: np.random.Generator) -> Samples:
    """Return noise of one of COLOURS with an RMS of 1."""
    spectrum = np.fft.rfft(random.standard_normal(length))
    spectrum /= np.maximum(np.arange(len(spectrum)), 1) ** (random.choice(COLOURS) / 2)
    noise = np.fft.irfft(spectrum, length)
    made: Samples = (noise / noise.std()).astype(np.float32)
    return made


def _variant(
    example: Example, window: int, pre_roll: int, backgrounds: Sequence[Samples], random: np.random.Generator
) -> Samples:
    speed = random.uniform(*SPEED)
    at = np.arange(int(len(example.samples) / speed)) * speed
    samples = np.interp(at, np.arange(len(example.samples)), example.samples).astype(np.float32)
    begin, end = int(example.begin / speed), int(example.end / speed)
    if random.random() < P_ISOLATED:
        samples = _isolated(samples, begin, end, window, random)
    sound = _cut(samples, _shifted_start(begin, end, window, pre_roll, random), window)
    if random.random() < P_ROOM:
        sound = _in_a_room(sound, random)
    if random.random() < P_NOISE:
        sound = sound + _noise_for(sound, backgrounds, random)
    gain, hiss = 10 ** (random.uniform(*GAIN_DB) / 20), 10 ** (random.uniform(*HISS_DB) / 20)
    hiss *= random.random() < P_HISS
    made: Samples = np.clip(sound * gain + random.standard_normal(window) * hiss, -1, 1).astype(np.float32)
    return made


def _natural_start(begin: int, end: int, window: int, pre_roll: int) -> int:
    return begin - max(pre_roll, (window - (end - begin)) // 2)


def _shifted_start(begin: int, end: int, window: int, pre_roll: int, random: np.random.Generator) -> int:
    """Return where the gate might have opened: sooner or later, losing no more than MAX_LOSS of the example."""
    usual, loss = _natural_start(begin, end, window, pre_roll), int(MAX_LOSS * window)
    shift = int(MAX_SHIFT * window)
    earliest = max(usual - shift, min(end, usual + window) - loss - window)
    latest = min(usual + shift, begin + loss)
    return int(random.integers(earliest, max(earliest, latest) + 1))


def _cut(samples: Samples, start: int, window: int) -> Samples:
    """Return the samples from `start` on, and zeros where there are none."""
    cut = np.zeros(window, np.float32)
    first, last = max(0, start), min(len(samples), start + window)
    if first < last:
        cut[first - start : last - start] = samples[first:last]
    return cut


def _isolated(samples: Samples, begin: int, end: int, window: int, random: np.random.Generator) -> Samples:
    """Return the example as in a quieter place: the sound before and after it is softer than it was recorded."""
    margin = int(MARGIN * window)
    softer = samples * np.float32(10 ** (-random.uniform(*ISOLATION_DB) / 20))
    softer[max(0, begin - margin) : end + margin] = samples[max(0, begin - margin) : end + margin]
    return softer


def _in_a_room(sound: Samples, random: np.random.Generator) -> Samples:
    """Add an echo that dies away in 0.1 to 0.6 of a window, 0 to 20 dB below, and one time in three narrow the band."""
    length = len(sound)
    echo = random.standard_normal(length) * np.exp(-6.9 * np.arange(length) / (length * random.uniform(0.1, 0.6)))
    echo[: length // 500] = 0
    echo *= 10 ** (-random.uniform(0, 20) / 20) / np.sqrt(np.square(echo).sum())
    echo[0] = 1
    size = 2 * length
    response = np.fft.rfft(echo, size)
    if random.random() < 1 / 3:
        frequency = np.linspace(0, 1, len(response))  # of half the rate; a telephone's band ends at 0.45 of 8 kHz
        response /= 1 + (frequency / random.uniform(0.42, 0.5)) ** 24
    heard: Samples = np.fft.irfft(np.fft.rfft(sound, size) * response, size)[:length].astype(np.float32)
    return heard


def _noise_for(sound: Samples, backgrounds: Sequence[Samples], random: np.random.Generator) -> Samples:
    """Return noise as long as the sound, softer than it by a ratio out of SNR_DB."""
    length = len(sound)
    recorded = backgrounds and random.random() < 0.5
    noise = _piece(backgrounds, length, random) if recorded else coloured_noise(length, random)
    level = np.sqrt(np.square(sound).mean() / (np.square(noise).mean() + 1e-12))
    scaled: Samples = (noise * level * 10 ** (-random.uniform(*SNR_DB) / 20)).astype(np.float32)
    return scaled


def _piece(backgrounds: Sequence[Samples], length: int, random: np.random.Generator) -> Samples:
    recording = backgrounds[int(random.integers(len(backgrounds)))]
    start = int(random.integers(len(recording) - length + 1))
    piece: Samples = recording[start : start + length]
    return piece
