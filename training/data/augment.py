"""Augmentation: a word as different rooms and microphones would give it to the model, for a batch of windows at once.

The daemon cuts exactly one second around the speech that its gate has found, with the sound before and after it. So
the word may be anywhere in the window, in a room, through a narrow band, over noise or over digital silence, near or
far. `Recipe` says how often and how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from training.data.audio import RATE
from training.data.bank import WINDOW, Bank

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Recipe:
    """`room`, `noise`, `gain` and `floor` are probabilities for one window. Values are drawn evenly from the ranges."""

    shift_s: float = 0.25
    speed: Range = (0.9, 1.1)
    room: float = 0.35
    noise: float = 0.7
    snr_db: Range = (0.0, 30.0)
    gain: float = 0.8
    gain_db: Range = (-25.0, 6.0)
    floor: float = 0.6
    floor_db: Range = (-90.0, -55.0)


PLAIN = Recipe(shift_s=0, speed=(1, 1), room=0, noise=0, gain=0, floor=0)


class Room:
    """Frequency responses of rooms, microphones and telephone lines.

    Each is an echo (noise that decays by 60 dB in 0.1 to 0.6 s, 0 to 20 dB below the direct
    sound), a tilt of up to 3 dB an octave, a high-pass, and for one in three a low-pass at 3.4 to
    4 kHz, the band of material at 8 kHz.
    """

    LENGTH = 22_400  # a fast size for the FFT; an echo longer than 0.4 s wraps, far below the word

    def __init__(self, count: int, generator: torch.Generator, length: int = LENGTH) -> None:
        self.length = length

        def uniform(low: float, high: float) -> Tensor:
            return torch.rand(count, 1, generator=generator) * (high - low) + low

        seconds = torch.arange(length) / RATE
        echo = torch.randn(count, length, generator=generator)
        echo *= torch.exp(-6.9 * seconds / uniform(0.1, 0.6))
        echo[:, :32] = 0
        below = 10 ** (-uniform(0, 20) / 20)
        impulse = echo * below / echo.square().sum(1, keepdim=True).sqrt()
        impulse[:, 0] = 1
        hertz = torch.fft.rfftfreq(length, 1 / RATE).clamp(min=1)
        response = 10 ** (uniform(-3, 3) * torch.log2(hertz / 1000).clamp(-4, 3) / 20)
        response /= 1 + (uniform(20, 300) / hertz) ** 4
        narrow = torch.rand(count, 1, generator=generator) < 1 / 3
        response /= torch.where(narrow, 1 + (hertz / uniform(3400, 4000)) ** 24, 1)
        self.responses = torch.fft.rfft(impulse) * response

    def hear(self, windows: Tensor, which: Tensor) -> Tensor:
        """Return each window as heard through the response of that number."""
        spectrum = torch.fft.rfft(windows, self.length) * self.responses[which]
        heard: Tensor = torch.fft.irfft(spectrum, self.length)[:, : windows.shape[1]]
        return heard


class Augment:
    """Cuts windows by a recipe. All chance comes from `generator`."""

    def __init__(self, bank: Bank, noise: Tensor, recipe: Recipe, generator: torch.Generator) -> None:
        self.bank, self.noise, self.recipe = bank, noise, recipe
        self.generator = generator
        self.room = Room(256, torch.Generator().manual_seed(generator.initial_seed()))

    def windows(self, which: Tensor) -> Tensor:
        """Return a window of each clip, shape [batch, WINDOW], with samples from -1 to 1. `which` are clip numbers."""
        count, recipe = len(which), self.recipe
        speeds = self._uniform(count, recipe.speed)
        windows = self.bank.cut(which, self._starts(which, speeds), speeds)
        heard = self.room.hear(windows, self._integers(count, len(self.room.responses)))
        windows = torch.where(self._chance(count, recipe.room), heard, windows)
        windows = self._with_noise(windows)
        gain = 10 ** (self._uniform(count, recipe.gain_db)[:, None] / 20)
        windows = torch.where(self._chance(count, recipe.gain), windows * gain, windows)
        floor = 10 ** (self._uniform(count, recipe.floor_db)[:, None] / 20)
        floor = floor * torch.randn(windows.shape, generator=self.generator)
        return torch.where(self._chance(count, recipe.floor), windows + floor, windows).clamp(-1, 1)

    def _starts(self, which: Tensor, speeds: Tensor) -> Tensor:
        """Return starts at which no more than 50 ms of a word are cut off, and that lie anywhere within a stretch."""
        bank, recipe = self.bank, self.recipe
        width = WINDOW * speeds
        begins, ends = bank.begins[which], bank.ends[which]
        if recipe.shift_s == 0:
            centred = (bank.lengths[which] - width) / 2
        else:
            limit = recipe.shift_s * RATE
            centred = (begins + ends - width) / 2 + self._uniform(len(which), (-limit, limit))
            slack = 0.05 * RATE
            earliest, latest = ends - width - slack, begins + slack
            fits = earliest <= latest
            kept = torch.minimum(torch.maximum(centred, earliest), latest)
            centred = torch.where(fits, kept, centred)
        inside = (ends - begins - width).clamp(min=0)
        anywhere = begins + inside * torch.rand(len(which), generator=self.generator)
        return torch.where(bank.stretch[which], anywhere, centred)

    def _with_noise(self, windows: Tensor) -> Tensor:
        """Add noise at a ratio to the sound, or at a level of its own if a window is silent."""
        count, recipe = len(windows), self.recipe
        starts = self._integers(count, len(self.noise) - WINDOW)
        noise = self.noise[starts[:, None] + torch.arange(WINDOW)]
        noise = noise / noise.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)
        level = windows.square().mean(1, keepdim=True).sqrt()
        ratio = 10 ** (-self._uniform(count, recipe.snr_db)[:, None] / 20)
        alone = 10 ** (self._uniform(count, (-75.0, -15.0))[:, None] / 20)
        loudness = torch.where(level > 1e-5, level * ratio, alone)
        return windows + torch.where(self._chance(count, recipe.noise), noise * loudness, 0)

    def _uniform(self, count: int, between: Range) -> Tensor:
        low, high = between
        return low + (high - low) * torch.rand(count, generator=self.generator)

    def _integers(self, count: int, below: int) -> Tensor:
        return torch.randint(below, (count,), generator=self.generator)

    def _chance(self, count: int, chance: float) -> Tensor:
        return torch.rand(count, 1, generator=self.generator) < chance


def bend(features: Tensor, generator: torch.Generator, time: float = 0.12, pitch: float = 0.08) -> Tensor:
    """Stretch time and pitch about the middle, each by up to the given share."""
    count = len(features)
    scale = 1 + (torch.rand(count, 2, generator=generator) * 2 - 1) * torch.tensor([time, pitch])
    grid = torch.zeros(count, 2, 3)
    grid[:, 0, 0], grid[:, 1, 1] = scale[:, 0], scale[:, 1]
    grid[:, 1, 2] = scale[:, 1] - 1  # the lowest band stays where it is
    places = functional.affine_grid(grid, [count, 1, *features.shape[1:]], align_corners=False)
    bent = functional.grid_sample(features[:, None], places, padding_mode="border", align_corners=False)
    return bent[:, 0]


def mask(features: Tensor, generator: torch.Generator, bands: int = 8, frames: int = 10) -> Tensor:
    """Set two stripes of bands and two of frames, at most so wide, to the mean (SpecAugment)."""
    count, height, width = features.shape
    hidden = torch.zeros(count, height, width, dtype=torch.bool)
    for size, limit, shape in ((height, bands, (1, -1, 1)), (width, frames, (1, 1, -1))):
        places = torch.arange(size).view(shape)
        for _ in range(2):
            extent = torch.randint(limit + 1, (count, 1, 1), generator=generator)
            start = (torch.rand(count, 1, 1, generator=generator) * (size - extent)).long()
            hidden |= (places >= start) & (places < start + extent)
    return torch.where(hidden, features.mean((1, 2), keepdim=True), features)


def mix(features: Tensor, targets: Tensor, generator: torch.Generator, max_share: float = 0.3) -> tuple[Tensor, Tensor]:
    """Mix up to `max_share` of another clip into half of the batch, in features and in targets (mixup)."""
    count = len(features)
    share = (torch.rand(count, generator=generator) * 2 - 1).clamp(min=0) * max_share
    other = torch.randperm(count, generator=generator)
    mel, label = share[:, None, None], share[:, None]
    return (
        torch.lerp(features, features[other], mel),
        torch.lerp(targets, targets[other], label),
    )
