"""The sounds of the demo recording, made of sines and noise and without recordings.

Each of the first functions makes a sound of SECONDS, whose parameters are drawn from `chance`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data.audio import RATE, Samples

SECONDS = 5.0
PEAK = 0.35
NYQUIST = RATE / 2

Wave = NDArray[np.float64]
Formant = tuple[float, float]
"""A resonance: its frequency in Hz and its gain."""


def dog_bark(chance: np.random.Generator) -> Wave:
    """Make short rough bursts of a voice, some of them a little later than the others."""
    length, gap = chance.uniform(0.15, 0.3), chance.uniform(0.4, 0.7)
    pitch, rise, noise = chance.uniform(250, 550), chance.uniform(0.2, 0.7), chance.uniform(0, 1)
    formants = [(chance.uniform(500, 1200), 1.0), (chance.uniform(1200, 2400), 0.7), (3000.0, 0.2)]
    time = times(length)
    part = time / length
    sound, at = np.zeros(int(SECONDS * RATE)), 0.05
    while at < SECONDS - length - 0.1:
        rough = 1 + 0.15 * band(chance.standard_normal(len(time)), 1, 80)
        glide = pitch * (1 + rise * np.sin(np.pi * np.minimum(1, 1.3 * part))) * rough
        bark = voice(np.maximum(glide, 60), -3) + 3 * noise * chance.standard_normal(len(time))
        shape = np.minimum(1, time / 0.01) * np.exp(-(((part - 0.25) / 0.35) ** 2))
        put(sound, at, resonate(bark, formants) * shape * chance.uniform(0.8, 1))
        at += gap * (chance.uniform(0.9, 1.1) if chance.random() < 0.7 else 1.6)
    return in_room(sound, chance, chance.uniform(0.05, 0.3))


def clock_tick(chance: np.random.Generator) -> Wave:
    """Make ticks and tocks: two damped resonances, and the click that excites them."""
    period = chance.choice([1 / 3, 0.4, 0.5])
    pitch, lower, decay = chance.uniform(1200, 4500), chance.uniform(0.7, 1), chance.uniform(0.003, 0.02)
    click = chance.uniform(0, 2)
    time = times(0.12)
    sound = np.zeros(int(SECONDS * RATE))
    for number, at in enumerate(np.arange(0.05, SECONDS - 0.2, period)):
        angle = 2 * np.pi * pitch * (lower if number % 2 else 1) * time
        tick = np.exp(-time / decay) * np.sin(angle) + 0.6 * np.exp(-time / decay / 0.6) * np.sin(1.73 * angle)
        put(sound, at, tick + click * chance.standard_normal(len(time)) * np.exp(-time / 0.002))
    return in_room(sound, chance, chance.uniform(0.05, 0.25))


def sea_waves(chance: np.random.Generator) -> Wave:
    """Make noise that swells and sinks, with high frequencies at the crests."""
    time = times(SECONDS)
    crest = 0.5 - 0.5 * np.cos(2 * np.pi * time / chance.uniform(2.5, 5) + chance.uniform(0, 3))
    noise = chance.standard_normal(len(time))
    low = band(noise, 60, chance.uniform(200, 1000)) * (chance.uniform(0.05, 0.5) + crest)
    high = band(noise, 300, chance.uniform(1500, 7000)) * crest**2 * chance.uniform(0.3, 2)
    return faded(low + high, 0.7)


def rooster(chance: np.random.Generator) -> Wave:
    """Make three short calls and a long one that falls."""
    pitch, tilt, noise = chance.uniform(450, 1000), chance.uniform(-6, 0), chance.uniform(0, 2)
    shake, shakes = chance.uniform(0, 0.05), chance.uniform(5, 40)
    formants = [(chance.uniform(900, 1800), 1.0), (chance.uniform(2000, 3500), 0.8)]
    gap, pause = chance.uniform(0.02, 0.08), chance.uniform(0.5, 0.75)
    last = (chance.uniform(0.7, 1.2), 1.0, 1.15, 0.6)
    sound, at = np.zeros(int(SECONDS * RATE)), 0.05
    while at < SECONDS - 2.3:
        for length, begin, middle, end in ((0.18, 0.7, 0.9, 0.75), (0.15, 0.8, 1.0, 0.9), (0.25, 0.85, 1.1, 1.0), last):
            time = times(length)
            part = time / length
            glide = begin * (1 - part) ** 2 + 2.2 * middle * part * (1 - part) + end * part**2
            call = voice(pitch * glide * (1 + shake * np.sin(2 * np.pi * shakes * time)), tilt)
            call = resonate(call + noise * chance.standard_normal(len(time)), formants)
            put(sound, at, call * np.minimum(1, time / 0.03) * np.minimum(1, (length - time) / 0.08))
            at += length + gap
        at += pause
    return in_room(sound, chance, chance.uniform(0.05, 0.4))


def helicopter(chance: np.random.Generator) -> Wave:
    """Make noise that is modulated by each blade, and the hum of an engine."""
    time, blades = times(SECONDS), chance.uniform(9, 24)
    cut = np.exp(-((time * blades) % 1) * chance.uniform(1, 8))
    noise = band(chance.standard_normal(len(time)), 40, chance.uniform(200, 2500)) * (chance.uniform(0.05, 0.8) + cut)
    engine = voice(np.full(len(time), blades * chance.integers(2, 9)), -6) * (0.5 + cut)
    return faded(noise + chance.uniform(0, 0.06) * engine, 0.5)


def chainsaw(chance: np.random.Generator) -> Wave:
    """Make a sawtooth whose revolutions rise and fall, through two resonances."""
    time = times(SECONDS)
    unsteady = 0.16 * band(chance.standard_normal(len(time)), 1, 20)
    swing = chance.uniform(0, 0.3) * np.sin(2 * np.pi * chance.uniform(0.2, 1.5) * time)
    turns = np.cumsum(chance.uniform(60, 220) * (1 + swing + unsteady)) / RATE
    saw = (2 * (turns % 1) - 1) * (1 + chance.uniform(0, 0.8) * np.sin(np.pi * turns))
    saw += chance.uniform(0, 1) * chance.standard_normal(len(time))
    formants = [(chance.uniform(300, 1500), 1.0), (chance.uniform(1500, 5000), 1.0)]
    return faded(resonate(saw, formants, width=400), 0.3)


SOUNDS: dict[str, Callable[[np.random.Generator], Wave]] = {
    "clock_tick": clock_tick,
    "dog_bark": dog_bark,
    "sea_waves": sea_waves,
    "rooster": rooster,
    "helicopter": helicopter,
    "chainsaw": chainsaw,
}
"""In the order of preference: first those least like speech, because Silero's state still holds the last sentence."""


def attempts(label: str, tries: int, seed: int) -> Iterator[tuple[str, Samples]]:
    """Yield `tries` variants of the sound."""
    for number in range(tries):
        sound = SOUNDS[label](np.random.default_rng([seed, number]))
        yield f"number {number}", (sound * (PEAK / np.abs(sound).max())).astype(np.float32)


def times(seconds: float) -> Wave:
    """Return the time of each sample, in seconds."""
    return np.arange(int(seconds * RATE)) / RATE


def put(sound: Wave, at: float, what: Wave) -> None:
    """Add `what` to the sound at `at` seconds, and cut off the part after the sound's end."""
    start = int(at * RATE)
    what = what[: len(sound) - start]
    sound[start : start + len(what)] += what


def faded(sound: Wave, seconds: float) -> Wave:
    """Fade the sound in and out over so many seconds."""
    from_ends = np.minimum(np.arange(len(sound)), np.arange(len(sound))[::-1]) / RATE
    return sound * np.minimum(1, from_ends / seconds)


def voice(pitch: Wave, tilt: float) -> Wave:
    """Return forty harmonics that change by `tilt` dB an octave. `pitch` is in Hz, for each sample."""
    angle = 2 * np.pi * np.cumsum(pitch) / RATE
    return sum(
        (k ** (tilt / 6.02) * (pitch * k < 0.95 * NYQUIST) * np.sin(k * angle) for k in range(1, 41)),
        start=np.zeros(len(pitch)),
    )


def band(sound: Wave, low: float, high: float) -> Wave:
    """Return the band between two frequencies in Hz; beyond them the sound falls by 6 dB an octave."""
    at = np.fft.rfftfreq(len(sound), 1 / RATE) + 1e-9
    return filtered(sound, 1 / np.sqrt(1 + (low / at) ** 2) / np.sqrt(1 + (at / high) ** 2))


def resonate(sound: Wave, formants: Sequence[Formant], width: float = 150) -> Wave:
    """Filter the sound by resonances, which are `width` Hz wide at low frequencies and wider at high ones."""
    at = np.fft.rfftfreq(len(sound), 1 / RATE)
    gains = [gain / (1 + ((at - centre) / (width * (1 + centre / 1500))) ** 2) for centre, gain in formants]
    return filtered(sound, 0.05 + np.sum(gains, axis=0))


def in_room(sound: Wave, chance: np.random.Generator, decay: float, share: float = 0.35) -> Wave:
    """Add an echo of noise that dies away within about `decay` seconds."""
    time = times(3 * decay)
    echo = chance.standard_normal(len(time)) * np.exp(-2 * time / decay)
    spectrum = np.fft.rfft(echo / np.sqrt(np.square(echo).sum()), len(sound) + len(echo))
    wet = np.fft.irfft(np.fft.rfft(sound, len(sound) + len(echo)) * spectrum)[: len(sound)]
    return sound + share * wet


def filtered(sound: Wave, gains: Wave) -> Wave:
    """Return the sound with each frequency of the real FFT times its gain."""
    return np.fft.irfft(np.fft.rfft(sound) * gains, len(sound))
